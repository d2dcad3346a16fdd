// Work items of some query rows, bound by reading keys and values: the warps of a block share the rows and
// take a quarter of the keys each, merged at the end.
#include "kernels/cuda/attention_plan.hpp"
#include "kernels/cuda/attention_tensor.cuh"

namespace hydrajob::cuda {
namespace {

constexpr int warp_keys = stage_keys / tensor_warps;
constexpr int stages = 2;
constexpr int row_blocks = some_rows / 16;

// Of each warp, in shared memory: rows relative to the warp's own maximum.
template <int HEAD_DIM>
struct WarpResults {
  float maximum[tensor_warps][some_rows];  // scaled
  float sum[tensor_warps][some_rows];
  float out[tensor_warps][some_rows][HEAD_DIM];
};

template <class T, int HEAD_DIM>
__device__ void keep(WarpResults<HEAD_DIM>& results,
                     const WarpAttention<T, HEAD_DIM, row_blocks, warp_keys>& warp, int count, float scale) {
  const int w = threadIdx.x / 32, lane = threadIdx.x % 32;
#pragma unroll
  for (int m = 0; m < row_blocks; ++m) {
#pragma unroll
    for (int half = 0; half < 2; ++half) {
      const int row = m * 16 + half * 8 + lane / 4;
      const float sum = warp.row_sum(m, half);
      if (row >= count) continue;
      if (lane % 4 == 0) {
        results.maximum[w][row] = warp.maximum[m][half] * scale;
        results.sum[w][row] = sum;
      }
#pragma unroll
      for (int d = 0; d < HEAD_DIM / 8; ++d) {
        results.out[w][row][d * 8 + lane % 4 * 2] = warp.out[m][d][2 * half];
        results.out[w][row][d * 8 + lane % 4 * 2 + 1] = warp.out[m][d][2 * half + 1];
      }
    }
  }
}

// Rows over the warps; two neighbouring elements a lane at a time.
template <class T, int HEAD_DIM>
__device__ void write_merged(const WarpResults<HEAD_DIM>& results, const PackedRows& packed,
                             const WorkItem& item, const WorkArgs& args) {
  const int lane = threadIdx.x % 32;
  for (int p = threadIdx.x / 32; p < packed.count; p += tensor_warps) {
    float maximum = -INFINITY, sum = 0, weight[tensor_warps];
#pragma unroll
    for (int w = 0; w < tensor_warps; ++w) maximum = fmaxf(maximum, results.maximum[w][p]);
#pragma unroll
    for (int w = 0; w < tensor_warps; ++w) {
      weight[w] = results.sum[w][p] > 0 ? expf(results.maximum[w][p] - maximum) : 0.0f;
      sum += weight[w] * results.sum[w][p];
    }
    const float share = sum > 0 ? 1.0f / sum : 0.0f;
    const std::int64_t result = first_result(item, args) + packed.place(p);
    for (int dim = lane * 2; dim < HEAD_DIM; dim += 64) {
      float pair[2] = {};
#pragma unroll
      for (int w = 0; w < tensor_warps; ++w) {
        pair[0] += weight[w] * share * results.out[w][p][dim];
        pair[1] += weight[w] * share * results.out[w][p][dim + 1];
      }
      write_out<T>(args, result, dim, pair);
    }
    if (lane == 0) write_sum(args, result, maximum, sum);
  }
}

template <class T, int HEAD_DIM>
__global__ __launch_bounds__(tensor_threads) void attend(const WorkItem* items, WorkArgs args) {
  extern __shared__ __align__(16) std::uint8_t shared[];
  begin_kernel();
  const WorkItem item = items[blockIdx.x];
  const PackedRows packed(item, static_cast<int>(blockIdx.y), args);
  const int warp_key = threadIdx.x / 32 * warp_keys, lane = threadIdx.x % 32;
  const int tokens = visible(item, args, item.n_rows - 1);

  T* queries = reinterpret_cast<T*>(shared);
  T* staged = queries + some_rows * shared_stride<HEAD_DIM>;
  KvStages<T, HEAD_DIM, stages> kv(staged, item, args, tokens);
  copy_queries<HEAD_DIM>(queries, some_rows, packed, item, args);
  commit_copies();
  kv.start();

  int limit[row_blocks][2];
#pragma unroll
  for (int m = 0; m < row_blocks; ++m) {
    limit[m][0] = packed.limit(m * 16 + lane / 4, item, args);
    limit[m][1] = packed.limit(m * 16 + lane / 4 + 8, item, args);
  }
  WarpAttention<T, HEAD_DIM, row_blocks, warp_keys> warp;
  for (int i = 0; i < kv.count(); ++i) {
    kv.arrive(i);
    const int first_key = i * stage_keys + warp_key;
    if (first_key < tokens) {
      warp.step(queries, kv.k(i) + warp_key * shared_stride<HEAD_DIM>,
                kv.v(i) + warp_key * shared_stride<HEAD_DIM>, first_key, limit, args.scale * 1.44269504f);
    }
  }
  wait_copies<0>();
  __syncthreads();
  auto& results = *reinterpret_cast<WarpResults<HEAD_DIM>*>(staged);  // the stages are done with
  keep(results, warp, packed.count, args.scale);
  __syncthreads();
  write_merged<T>(results, packed, item, args);
}

template <class T, int HEAD_DIM>
void launch_some(const WorkItem* items, std::int64_t n_items, const WorkArgs& args, cudaStream_t stream) {
  constexpr int element = static_cast<int>(sizeof(T));
  constexpr int staged = KvStages<T, HEAD_DIM, stages>::elements * element;
  static_assert(staged >= static_cast<int>(sizeof(WarpResults<HEAD_DIM>)));
  constexpr int bytes = some_rows * shared_stride<HEAD_DIM> * element + staged;
  launch_items(attend<T, HEAD_DIM>, items, n_items, args, bytes, stream);
}

}  // namespace

void attend_some(const WorkItem* items, std::int64_t n_items, const WorkArgs& args, DType dtype,
                 cudaStream_t stream) {
  with_tensor_element(dtype, [&]<class T>(T*) {
    with_head_dim(args.head_dim,
                  [&](auto head_dim) { launch_some<T, head_dim>(items, n_items, args, stream); });
  });
}

}  // namespace hydrajob::cuda
