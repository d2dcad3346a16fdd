// One block's work item on the tensor cores, whatever the number of its rows: packed queries in shared
// memory, keys and values streamed through two stages of it.
#pragma once

#include "device/cuda_stream.hpp"
#include "kernels/cuda/attention_item.cuh"
#include "kernels/cuda/attention_kernels.hpp"
#include "kernels/cuda/attention_warp.cuh"
#include "kernels/cuda/launch.cuh"
#include "kernels/cuda/packed_rows.cuh"

namespace hydrajob::cuda {

constexpr int tensor_warps = 4;
constexpr int tensor_threads = tensor_warps * 32;
constexpr int stage_keys = 64;

// (rows, stride) of shared memory from the packed query rows, zeros after the last. Asynchronous.
template <int HEAD_DIM, class T>
__device__ inline void copy_queries(T* target, int rows, const PackedRows& packed, const WorkItem& item,
                                    const WorkArgs& args) {
  constexpr int pieces = HEAD_DIM / 8;
  const auto* q = static_cast<const T*>(args.q);
  for (int i = threadIdx.x; i < rows * pieces; i += tensor_threads) {
    const int p = i / pieces, piece = i % pieces;
    const bool there = p < packed.count;
    const std::int64_t from = there ? item.row_begin * args.n_heads + packed.place(p) : 0;
    copy_16(target + p * shared_stride<HEAD_DIM> + piece * 8, q + from * HEAD_DIM + piece * 8, there);
  }
}

// The item's keys and values, stage_keys at a time: STAGES - 1 of them are on their way while one is used.
template <class T, int HEAD_DIM, int STAGES>
class KvStages {
 public:
  static constexpr int elements = STAGES * 2 * stage_keys * shared_stride<HEAD_DIM>;

  __device__ KvStages(T* shared, const WorkItem& item, const WorkArgs& args, int tokens)
      : shared_(shared), token_stride_(args.kv.token_stride), tokens_(tokens) {
    const std::int64_t first = blockIdx.y * args.kv.head_stride + item.kv_first * args.kv.token_stride;
    k_ = static_cast<const T*>(args.kv.k) + first;
    v_ = static_cast<const T*>(args.kv.v) + first;
  }

  __device__ int count() const { return (tokens_ + stage_keys - 1) / stage_keys; }
  // Before the first use.
  __device__ void start() {
#pragma unroll
    for (int i = 0; i < STAGES - 1; ++i) fetch(i);
  }
  // Keys and values `index` are there for all threads of the block. The ones before it are used no more.
  __device__ void arrive(int index) {
    if (index > 0) __syncthreads();  // the next fetch overwrites the stage before
    fetch(index + STAGES - 1);
    wait_copies<STAGES - 1>();
    __syncthreads();
  }

  __device__ T* k(int index) const {
    return shared_ + index % STAGES * 2 * half;
  }
  __device__ T* v(int index) const {
    return k(index) + half;
  }

 private:
  // One group of copies, empty past the last.
  __device__ void fetch(int index) {
    if (index < count()) {
      const std::int64_t at = static_cast<std::int64_t>(index) * stage_keys;
      const int there = min(stage_keys, tokens_ - index * stage_keys);
      copy_rows<HEAD_DIM>(k(index), k_ + at * token_stride_, token_stride_, stage_keys, there);
      copy_rows<HEAD_DIM>(v(index), v_ + at * token_stride_, token_stride_, stage_keys, there);
    }
    commit_copies();
  }

  static constexpr int half = stage_keys * shared_stride<HEAD_DIM>;
  T* shared_;
  const T* k_;
  const T* v_;
  std::int64_t token_stride_;
  int tokens_;
};

// Calls `launch` with the head size as its argument's type.
template <class F>
void with_head_dim(int head_dim, F&& launch) {
  switch (head_dim) {
    case 64:
      return launch(std::integral_constant<int, 64>{});
    case 80:
      return launch(std::integral_constant<int, 80>{});
    case 96:
      return launch(std::integral_constant<int, 96>{});
    default:
      return launch(std::integral_constant<int, 128>{});
  }
}

// A block an item and KV head, with `bytes` of dynamic shared memory.
template <class Kernel>
void launch_items(Kernel kernel, const WorkItem* items, std::int64_t n_items, const WorkArgs& args, int bytes,
                  cudaStream_t stream) {
  if (n_items == 0) return;
  HJ_CUDA_CHECK(cudaFuncSetAttribute(kernel, cudaFuncAttributeMaxDynamicSharedMemorySize, bytes));
  const dim3 grid(static_cast<unsigned>(n_items), static_cast<unsigned>(args.n_kv_heads));
  launch(kernel, grid, tensor_threads, static_cast<std::size_t>(bytes), stream, items, args);
}

}  // namespace hydrajob::cuda
