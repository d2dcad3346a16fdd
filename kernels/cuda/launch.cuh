// Launches that overlap with the end of the kernel before them (programmatic dependent launch, on
// Hopper): a decode step is hundreds of short kernels, each of which would otherwise begin
// only after the one before has ended and been put away.
#pragma once

#include <cstddef>
#include <cuda_runtime.h>
#include <utility>

#include "device/cuda_error.hpp"

namespace hydrajob::cuda {

// Lets the next kernel be set up as soon as there is room for it.
__device__ inline void admit_next_kernel() {
#if __CUDA_ARCH__ >= 900
  cudaTriggerProgrammaticLaunchCompletion();
#endif
}
// Until all that came before has ended and its results are there.
__device__ inline void await_kernels_before() {
#if __CUDA_ARCH__ >= 900
  cudaGridDependencySynchronize();
#endif
}
// The first statement of a kernel that `launch` starts, and has nothing to do before.
__device__ inline void begin_kernel() {
  admit_next_kernel();
  await_kernels_before();
}

// Only where the code that runs is the one that waits: newer GPUs take the portable path's, which does not.
inline bool launches_overlap() {
  static const bool overlap = [] {
    int device = 0, major = 0, minor = 0;
    HJ_CUDA_CHECK(cudaGetDevice(&device));
    HJ_CUDA_CHECK(cudaDeviceGetAttribute(&major, cudaDevAttrComputeCapabilityMajor, device));
    HJ_CUDA_CHECK(cudaDeviceGetAttribute(&minor, cudaDevAttrComputeCapabilityMinor, device));
    return HJ_CUDA_SM90A && major == 9 && minor == 0;
  }();
  return overlap;
}

// `shared`: bytes of dynamic shared memory.
template <class... Parameters, class... Arguments>
void launch(void (*kernel)(Parameters...), dim3 grid, dim3 block, std::size_t shared, cudaStream_t stream,
            Arguments&&... arguments) {
  cudaLaunchAttribute overlap{};
  overlap.id = cudaLaunchAttributeProgrammaticStreamSerialization;
  overlap.val.programmaticStreamSerializationAllowed = 1;
  cudaLaunchConfig_t config{};
  config.gridDim = grid;
  config.blockDim = block;
  config.dynamicSmemBytes = shared;
  config.stream = stream;
  config.attrs = &overlap;
  config.numAttrs = launches_overlap() ? 1 : 0;
  HJ_CUDA_CHECK(cudaLaunchKernelEx(&config, kernel, std::forward<Arguments>(arguments)...));
}

}  // namespace hydrajob::cuda
