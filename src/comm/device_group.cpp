#include "comm/device_group.hpp"

#if HJ_CUDA
#include "comm/cuda_communicator.hpp"
#endif

namespace hydrajob {

#if HJ_CUDA

Communicator& DeviceGroup::on(Device& device) {
  if (device.kind() == DeviceKind::cpu || host_->size() == 1) return *host_;
  std::unique_ptr<Communicator>& found = on_device_[device.kind()];
  if (!found) found = std::make_unique<CudaCommunicator>(host_, device);
  return *found;
}

std::string gpu_collectives_version() {
  return nccl_version();
}

#else

Communicator& DeviceGroup::on(Device&) {
  return *host_;  // make_device() has refused every other kind
}

std::string gpu_collectives_version() {
  return "";
}

#endif

}  // namespace hydrajob
