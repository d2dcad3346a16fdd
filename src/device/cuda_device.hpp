// A CUDA GPU as a device: its memory, one stream, events for marks.
#pragma once

#include <memory>
#include <string>

#include "device/device.hpp"

namespace hydrajob {

// How many GPUs this process sees; 0 without a driver.
int cuda_device_count();

// See why_no_gpu().
std::string why_no_cuda_device();

// Rank `local_rank` of a node takes GPU number `local_rank` of those that it sees, or the only one that it
// sees: a launcher may show each rank its own. Throws UsageError when there is none, or fewer than the node's
// ranks.
std::unique_ptr<Device> make_cuda_device(const DeviceRequest& request);

// See place_near_device().
void place_near_cuda_device(const DeviceRequest& request);

}  // namespace hydrajob
