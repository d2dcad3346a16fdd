// Elements of every type as floats, one or several at a time.
#pragma once

#include <cstdint>
#include <cuda_bf16.h>
#include <cuda_fp16.h>

#include "base/dtype.hpp"

namespace hydrajob::cuda {

__device__ inline float to_float(float x) {
  return x;
}
__device__ inline float to_float(__nv_bfloat16 x) {
  return __bfloat162float(x);
}
__device__ inline float to_float(__half x) {
  return __half2float(x);
}

template <class T>
__device__ T from_float(float x);
template <>
__device__ inline float from_float<float>(float x) {
  return x;
}
template <>
__device__ inline __nv_bfloat16 from_float<__nv_bfloat16>(float x) {
  return __float2bfloat16_rn(x);
}
template <>
__device__ inline __half from_float<__half>(float x) {
  return __float2half_rn(x);
}

// N neighbouring elements, moved at once: N * sizeof(T) is 16 bytes at most and the address a multiple of it.
template <class T, int N>
struct alignas(sizeof(T) * N) Pack {
  T values[N];
};

template <int N, class T>
__device__ inline void load(const T* source, float (&values)[N]) {
  constexpr int step = N * sizeof(T) > 16 ? 16 / sizeof(T) : N;
#pragma unroll
  for (int i = 0; i < N; i += step) {
    const auto pack = *reinterpret_cast<const Pack<T, step>*>(source + i);
#pragma unroll
    for (int j = 0; j < step; ++j) values[i + j] = to_float(pack.values[j]);
  }
}

template <int N, class T>
__device__ inline void store(T* target, const float (&values)[N]) {
  constexpr int step = N * sizeof(T) > 16 ? 16 / sizeof(T) : N;
#pragma unroll
  for (int i = 0; i < N; i += step) {
    Pack<T, step> pack;
#pragma unroll
    for (int j = 0; j < step; ++j) pack.values[j] = from_float<T>(values[i + j]);
    *reinterpret_cast<Pack<T, step>*>(target + i) = pack;
  }
}

// Calls `use` with a null pointer of the element type, for its type alone.
template <class F>
void with_element(DType dtype, F&& use) {
  switch (dtype) {
    case DType::f32:
      return use(static_cast<float*>(nullptr));
    case DType::bf16:
      return use(static_cast<__nv_bfloat16*>(nullptr));
    case DType::f16:
      return use(static_cast<__half*>(nullptr));
  }
}

// The same for the types that tensor cores multiply. Nothing is called for f32.
template <class F>
void with_tensor_element(DType dtype, F&& use) {
  if (dtype == DType::bf16) use(static_cast<__nv_bfloat16*>(nullptr));
  if (dtype == DType::f16) use(static_cast<__half*>(nullptr));
}

}  // namespace hydrajob::cuda
