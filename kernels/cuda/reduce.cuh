// Sums and maxima over the threads of a block.
#pragma once

#include <cuda_runtime.h>

namespace hydrajob::cuda {

constexpr int warp_size = 32;

template <class T, class Op>
__device__ inline T reduce_warp(T value, Op op) {
#pragma unroll
  for (int offset = warp_size / 2; offset > 0; offset /= 2) {
    value = op(value, __shfl_xor_sync(0xffffffffu, value, offset));
  }
  return value;
}

// The same value in every thread. The block has whole warps; `neutral`: op's neutral element.
template <class T, class Op>
__device__ inline T reduce_block(T value, T neutral, Op op) {
  __shared__ T of_warp[warp_size];
  value = reduce_warp(value, op);
  const int warp = threadIdx.x / warp_size, lane = threadIdx.x % warp_size;
  __syncthreads();  // the last use of of_warp is over
  if (lane == 0) of_warp[warp] = value;
  __syncthreads();
  value = lane < static_cast<int>(blockDim.x / warp_size) ? of_warp[lane] : neutral;
  return reduce_warp(value, op);
}

}  // namespace hydrajob::cuda
