// The CPU as a device: aligned host memory, a stream that has nothing to hold, the monotonic clock.
#pragma once

#include <memory>

#include "device/device.hpp"

namespace hydrajob {

std::unique_ptr<Device> make_cpu_device(const DeviceRequest& request);

}  // namespace hydrajob
