// Work items of many query rows: each warp takes 32 packed rows against all keys.
#include "kernels/cuda/attention_plan.hpp"
#include "kernels/cuda/attention_tensor.cuh"

namespace hydrajob::cuda {
namespace {

constexpr int warp_rows = tile_rows / tensor_warps;
constexpr int row_blocks = warp_rows / 16;
constexpr int stages = 2;

template <class T, int HEAD_DIM>
__global__ __launch_bounds__(tensor_threads) void attend(const WorkItem* items, WorkArgs args) {
  extern __shared__ __align__(16) std::uint8_t shared[];
  begin_kernel();
  const WorkItem item = items[blockIdx.x];
  const PackedRows packed(item, static_cast<int>(blockIdx.y), args);
  const int warp_row = threadIdx.x / 32 * warp_rows, lane = threadIdx.x % 32;
  const int tokens = visible(item, args, item.n_rows - 1);  // the last row sees most
  const float scale_log2 = args.scale * 1.44269504f;

  T* queries = reinterpret_cast<T*>(shared);
  KvStages<T, HEAD_DIM, stages> kv(queries + tile_rows * shared_stride<HEAD_DIM>, item, args, tokens);
  copy_queries<HEAD_DIM>(queries, tile_rows, packed, item, args);
  kv.start();

  int limit[row_blocks][2];
#pragma unroll
  for (int m = 0; m < row_blocks; ++m) {
    limit[m][0] = packed.limit(warp_row + m * 16 + lane / 4, item, args);
    limit[m][1] = packed.limit(warp_row + m * 16 + lane / 4 + 8, item, args);
  }
  // The warp's last row that there is sees most of what its rows see.
  const int warp_limit =
      warp_row < packed.count ? packed.limit(min(warp_row + warp_rows, packed.count) - 1, item, args) : 0;

  WarpAttention<T, HEAD_DIM, row_blocks, stage_keys> warp;
  for (int i = 0; i < kv.count(); ++i) {
    kv.arrive(i);
    if (i * stage_keys < warp_limit) {
      warp.step(queries + warp_row * shared_stride<HEAD_DIM>, kv.k(i), kv.v(i), i * stage_keys, limit,
                scale_log2);
    }
  }

#pragma unroll
  for (int m = 0; m < row_blocks; ++m) {
#pragma unroll
    for (int half = 0; half < 2; ++half) {
      const int p = warp_row + m * 16 + half * 8 + lane / 4;
      const float sum = warp.row_sum(m, half);
      if (p >= packed.count) continue;
      const std::int64_t result = first_result(item, args) + packed.place(p);
      const float share = sum > 0 ? 1.0f / sum : 0.0f;
#pragma unroll
      for (int d = 0; d < HEAD_DIM / 8; ++d) {
        const float pair[2] = {warp.out[m][d][2 * half] * share, warp.out[m][d][2 * half + 1] * share};
        write_out<T>(args, result, d * 8 + lane % 4 * 2, pair);
      }
      if (lane % 4 == 0) write_sum(args, result, warp.maximum[m][half] * args.scale, sum);
    }
  }
  wait_copies<0>();
}

}  // namespace

void attend_tiles(const WorkItem* items, std::int64_t n_items, const WorkArgs& args, DType dtype,
                  cudaStream_t stream) {
  with_tensor_element(dtype, [&]<class T>(T*) {
    with_head_dim(args.head_dim, [&](auto head_dim) {
      constexpr int elements = tile_rows * shared_stride<head_dim> + KvStages<T, head_dim, stages>::elements;
      launch_items(attend<T, head_dim>, items, n_items, args, elements * static_cast<int>(sizeof(T)), stream);
    });
  });
}

}  // namespace hydrajob::cuda
