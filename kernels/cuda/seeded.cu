// Seeded weights, computed where they stand: nothing crosses the bus, and the host computes nothing.
#include "base/dtype.hpp"
#include "base/seeded.hpp"
#include "device/cuda_stream.hpp"
#include "kernels/cuda/cuda_kernels.hpp"
#include "kernels/cuda/element.cuh"
#include "kernels/cuda/packs.hpp"

namespace hydrajob::cuda {
namespace {

constexpr unsigned threads = 256;

// target (part.count). A thread an element.
template <class T>
__global__ void fill_elements(SeededPart part, T* target) {
  const std::int64_t i = static_cast<std::int64_t>(blockIdx.x) * threads + threadIdx.x;
  if (i < part.count) target[i] = from_float<T>(seeded_element(part, part.first + i));
}

// The same, a thread 16 bytes. part.first is a multiple of 4, the elements of a counter; target's address is
// one of 16.
template <class T>
__global__ void fill_packs(SeededPart part, T* target) {
  constexpr int pack = 16 / sizeof(T);
  const std::int64_t i = (static_cast<std::int64_t>(blockIdx.x) * threads + threadIdx.x) * pack;
  if (i >= part.count) return;
  const std::uint64_t counter = static_cast<std::uint64_t>(part.first + i) / 4;
  float values[pack];
#pragma unroll
  for (int four = 0; four < pack / 4; ++four) {
    const PhiloxCounter words = seeded_words(part, counter + static_cast<std::uint64_t>(four));
#pragma unroll
    for (int j = 0; j < 4; ++j) {
      values[4 * four + j] = seeded_value(part, words[static_cast<std::size_t>(j)]);
    }
  }
  if (i + pack <= part.count) {
    store(target + i, values);
  } else {
#pragma unroll
    for (int j = 0; j < pack; ++j) {
      if (i + j < part.count) target[i + j] = from_float<T>(values[j]);
    }
  }
}

unsigned blocks_for(std::int64_t count, std::int64_t per_thread) {
  const std::int64_t per_block = threads * per_thread;
  return static_cast<unsigned>((count + per_block - 1) / per_block);
}

}  // namespace

bool CudaKernels::fill_seeded(const SeededPart& part, void* target, DType dtype, Stream& stream) {
  if (part.count == 0) return true;
  const bool by_packs = part.first % 4 == 0 && packs_of(16, 1, {}, {target});
  with_element(dtype, [&]<class T>(T*) {
    auto* elements = static_cast<T*>(target);
    if (by_packs) {
      fill_packs<<<blocks_for(part.count, 16 / sizeof(T)), threads, 0, cuda_stream(stream)>>>(part, elements);
    } else {
      fill_elements<<<blocks_for(part.count, 1), threads, 0, cuda_stream(stream)>>>(part, elements);
    }
  });
  HJ_CUDA_CHECK(cudaGetLastError());
  return true;
}

}  // namespace hydrajob::cuda
