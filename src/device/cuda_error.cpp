#include "device/cuda_error.hpp"

#include <fmt/format.h>

#include "base/error.hpp"

namespace hydrajob {

void check_cuda(cudaError_t status, const char* call) {
  if (status == cudaSuccess) return;
  cudaGetLastError();  // or the next launch that is checked would report it once more
  throw RunError(
      fmt::format("CUDA: {}: {} ({})", call, cudaGetErrorString(status), cudaGetErrorName(status)));
}

}  // namespace hydrajob
