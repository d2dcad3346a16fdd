// Attention of any element type and head size, one warp a row and head: for f32 models and unusual heads.
#include "device/cuda_stream.hpp"
#include "kernels/cuda/attention_item.cuh"
#include "kernels/cuda/attention_kernels.hpp"
#include "kernels/cuda/launch.cuh"
#include "kernels/cuda/reduce.cuh"

namespace hydrajob::cuda {
namespace {

constexpr int warps = 4;

// LANE_DIMS: elements of a head that each lane holds, a warp apart. blockIdx.y: the query head.
template <class T, int LANE_DIMS>
__global__ void attend(const WorkItem* items, WorkArgs args) {
  begin_kernel();
  const WorkItem item = items[blockIdx.x];
  const int head = static_cast<int>(blockIdx.y), lane = threadIdx.x % warp_size;
  const std::int64_t kv_head = head / args.group;
  const T* k =
      static_cast<const T*>(args.kv.k) + kv_head * args.kv.head_stride + item.kv_first * args.kv.token_stride;
  const T* v =
      static_cast<const T*>(args.kv.v) + kv_head * args.kv.head_stride + item.kv_first * args.kv.token_stride;
  for (std::int32_t row = threadIdx.x / warp_size; row < item.n_rows; row += warps) {
    const T* q =
        static_cast<const T*>(args.q) + ((item.row_begin + row) * args.n_heads + head) * args.head_dim;
    float query[LANE_DIMS], sum_out[LANE_DIMS] = {};
#pragma unroll
    for (int j = 0; j < LANE_DIMS; ++j) {
      const int dim = lane + j * warp_size;
      query[j] = dim < args.head_dim ? to_float(q[dim]) : 0.0f;
    }
    float maximum = -INFINITY, sum = 0;
    const std::int32_t tokens = visible(item, args, row);
    for (std::int32_t t = 0; t < tokens; ++t) {
      float score = 0;
#pragma unroll
      for (int j = 0; j < LANE_DIMS; ++j) {
        const int dim = lane + j * warp_size;
        if (dim < args.head_dim) score += query[j] * to_float(k[t * args.kv.token_stride + dim]);
      }
      score = args.scale * reduce_warp(score, [](float a, float b) { return a + b; });
      const float larger = fmaxf(maximum, score);
      const float keep = expf(maximum - larger), weight = expf(score - larger);
      sum = sum * keep + weight;
      maximum = larger;
#pragma unroll
      for (int j = 0; j < LANE_DIMS; ++j) {
        const int dim = lane + j * warp_size;
        if (dim < args.head_dim) {
          sum_out[j] = sum_out[j] * keep + weight * to_float(v[t * args.kv.token_stride + dim]);
        }
      }
    }
    const std::int64_t result = first_result(item, args) + std::int64_t{row} * args.n_heads + head;
    const float share = sum > 0 ? 1.0f / sum : 0.0f;
#pragma unroll
    for (int j = 0; j < LANE_DIMS; ++j) {
      const int dim = lane + j * warp_size;
      const float value[1] = {sum_out[j] * share};
      if (dim < args.head_dim) write_out<T>(args, result, dim, value);
    }
    if (lane == 0) write_sum(args, result, maximum, sum);
  }
}

}  // namespace

void attend_plain(const WorkItem* items, std::int64_t n_items, const WorkArgs& args, DType dtype,
                  cudaStream_t stream) {
  if (n_items == 0) return;
  const dim3 grid(static_cast<unsigned>(n_items), static_cast<unsigned>(args.n_heads));
  with_element(dtype, [&]<class T>(T*) {
    if (args.head_dim <= 2 * warp_size) {
      launch(attend<T, 2>, grid, warps * warp_size, 0, stream, items, args);
    } else if (args.head_dim <= 4 * warp_size) {
      launch(attend<T, 4>, grid, warps * warp_size, 0, stream, items, args);
    } else {
      launch(attend<T, most_head_dim / warp_size>, grid, warps * warp_size, 0, stream, items, args);
    }
  });
}

}  // namespace hydrajob::cuda
