// Merges partial attention results: softmax over parts of the keys, each part weighted by its share of the
// sum (Hydragen, arXiv 2402.05099, equation 5). Partial results are f32 until here.
#include "device/cuda_stream.hpp"
#include "kernels/cuda/attention_item.cuh"
#include "kernels/cuda/attention_kernels.hpp"
#include "kernels/cuda/packs.hpp"
#include "kernels/cuda/reduce.cuh"

namespace hydrajob::cuda {
namespace {

constexpr int warps = 4;

// A warp a row and head; N neighbouring elements a lane. Lanes look at a part each for its weight, then all
// of them at the outputs of one part after another.
template <class T, int N>
__global__ void merge(WorkArgs args) {
  const std::int64_t index = static_cast<std::int64_t>(blockIdx.x) * warps + threadIdx.x / warp_size;
  if (index >= args.n_rows * args.n_heads) return;
  const std::int64_t row = index / args.n_heads, head = index % args.n_heads;
  const std::int64_t begin = args.row_parts_begin[row], end = args.row_parts_begin[row + 1];
  const int lane = threadIdx.x % warp_size;
  constexpr int most_packs = most_head_dim / (warp_size * N);  // of a lane
  const auto larger = [](float a, float b) { return fmaxf(a, b); };
  const auto plus = [](float a, float b) { return a + b; };

  float maximum = -INFINITY;
  for (std::int64_t i = begin + lane; i < end; i += warp_size) {
    maximum = fmaxf(maximum, args.part_sum[2 * (args.row_parts[i] + head)]);
  }
  maximum = reduce_warp(maximum, larger);

  float sum = 0, merged[most_packs][N] = {};
  for (std::int64_t first = begin; first < end; first += warp_size) {
    const int count = static_cast<int>(min(end - first, std::int64_t{warp_size}));
    const std::int64_t my_part = lane < count ? args.row_parts[first + lane] + head : 0;
    const float of_part = lane < count ? args.part_sum[2 * my_part + 1] : 0.0f;
    const float mass = of_part > 0 ? of_part * expf(args.part_sum[2 * my_part] - maximum) : 0.0f;
    sum += mass;
    for (int i = 0; i < count; ++i) {
      const float weight = __shfl_sync(0xffffffffu, mass, i);
      const std::int64_t part = __shfl_sync(0xffffffffu, my_part, i);
      // Nothing is read of an empty part's output, which was not written.
      if (weight == 0) continue;
#pragma unroll
      for (int p = 0; p < most_packs; ++p) {
        const int dim = (lane + p * warp_size) * N;
        if (dim >= args.head_dim) continue;
        float values[N];
        load(args.part_out + part * args.head_dim + dim, values);
#pragma unroll
        for (int j = 0; j < N; ++j) merged[p][j] += weight * values[j];
      }
    }
  }
  sum = reduce_warp(sum, plus);
  const float share = sum > 0 ? 1.0f / sum : 0.0f;
#pragma unroll
  for (int p = 0; p < most_packs; ++p) {
    const int dim = (lane + p * warp_size) * N;
    if (dim >= args.head_dim) continue;
#pragma unroll
    for (int j = 0; j < N; ++j) merged[p][j] *= share;
    store(static_cast<T*>(args.out) + index * args.head_dim + dim, merged[p]);
  }
  if (args.lse != nullptr && lane == 0) args.lse[index] = lse_of(maximum, sum);
}

}  // namespace

void merge_parts(const WorkArgs& args, DType dtype, cudaStream_t stream) {
  const std::int64_t results = args.n_rows * args.n_heads;
  if (results == 0) return;
  with_element(dtype, [&]<class T>(T*) {
    const auto blocks = static_cast<unsigned>((results + warps - 1) / warps);
    if (packs_of(4, sizeof(T), {args.head_dim}, {args.out})) {
      merge<T, 4><<<blocks, warps * warp_size, 0, stream>>>(args);
    } else {
      merge<T, 1><<<blocks, warps * warp_size, 0, stream>>>(args);
    }
  });
  HJ_CUDA_CHECK(cudaGetLastError());
}

}  // namespace hydrajob::cuda
