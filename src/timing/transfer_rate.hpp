// How fast the host's memory goes to a device.
#pragma once

#include <optional>

#include "comm/communicator.hpp"
#include "device/device.hpp"

namespace hydrajob {

// Bytes per second from staging memory to the device, of the fastest of a few copies; all ranks copy at once.
// None where a rank's device has no staging memory. Throws RunError on all ranks when one cannot have its
// memory. Collective.
std::optional<double> host_to_device_bytes_per_s(Device& device, Communicator& comm);

}  // namespace hydrajob
