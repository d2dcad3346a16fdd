// The one place that knows which kernels this build has.
#include "device/device.hpp"
#include "kernels/kernels.hpp"
#if HJ_CUDA
#include "kernels/cuda/cuda_kernels.hpp"
#endif

namespace hydrajob {

std::unique_ptr<Kernels> make_kernels(Device& device, int threads) {
#if HJ_CUDA
  if (device.kind() == DeviceKind::cuda) return std::make_unique<cuda::CudaKernels>(device);
#endif
  static_cast<void>(device);  // make_device made none of another kind
  return make_cpu_kernels(threads);
}

}  // namespace hydrajob
