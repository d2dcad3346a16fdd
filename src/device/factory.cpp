// The one place that knows which backends this build has.
#include "base/error.hpp"
#include "device/cpu_device.hpp"
#include "device/device.hpp"
#if HJ_CUDA
#include "device/cuda_device.hpp"
#endif

namespace hydrajob {

int visible_gpus() {
#if HJ_CUDA
  return cuda_device_count();
#else
  return 0;
#endif
}

std::string why_no_gpu() {
#if HJ_CUDA
  return why_no_cuda_device();
#else
  return "this build has no CUDA backend (preset cuda)";
#endif
}

std::unique_ptr<Device> make_device(const DeviceRequest& request) {
  if (request.kind == DeviceKind::cpu) return make_cpu_device(request);
#if HJ_CUDA
  return make_cuda_device(request);
#else
  throw UsageError("device 'cuda': this build has no CUDA backend");
#endif
}

void place_near_device([[maybe_unused]] const DeviceRequest& request) {
#if HJ_CUDA
  if (request.kind == DeviceKind::cuda) place_near_cuda_device(request);
#endif
}

}  // namespace hydrajob
