// Merges partial attention results: softmax over parts of the keys, each part weighted by its share of the
// sum (Hydragen, arXiv 2402.05099, equation 5). Partial results are f32 until here.
#include "device/cuda_stream.hpp"
#include "kernels/cuda/attention_item.cuh"
#include "kernels/cuda/attention_kernels.hpp"
#include "kernels/cuda/launch.cuh"
#include "kernels/cuda/packs.hpp"
#include "kernels/cuda/reduce.cuh"

namespace hydrajob::cuda {
namespace {

constexpr int warps = 4;
// Neighbouring heads of a row that a warp merges: they are in the same parts, and their reads wait together.
constexpr int merged_heads = 2;

// A part's weight for each head. A lane looks at a part each.
struct Masses {
  float maximum[merged_heads];  // of all parts so far, scaled
  float sum[merged_heads];      // of this lane's parts, relative to it
  float mass[merged_heads];     // of this lane's part of the last thirty-two

  __device__ Masses() {
#pragma unroll
    for (int h = 0; h < merged_heads; ++h) {
      maximum[h] = -INFINITY;
      sum[h] = 0;
    }
  }

  // `part`: row of the lane's partial result for the first head, negative for none. keep: what was merged
  // before is to be multiplied with.
  __device__ void add(const WorkArgs& args, std::int64_t part, int heads, float (&keep)[merged_heads]) {
    float2 found[merged_heads];
#pragma unroll
    for (int h = 0; h < merged_heads; ++h) {
      found[h] = part >= 0 && h < heads ? reinterpret_cast<const float2*>(args.part_sum)[part + h]
                                        : float2{-INFINITY, 0};
    }
#pragma unroll
    for (int h = 0; h < merged_heads; ++h) {
      const float own = found[h].y > 0 ? found[h].x : -INFINITY;
      const float larger = fmaxf(maximum[h], reduce_warp(own, [](float a, float b) { return fmaxf(a, b); }));
      keep[h] = maximum[h] == -INFINITY ? 0.0f : expf(maximum[h] - larger);
      mass[h] = found[h].y > 0 ? found[h].y * expf(found[h].x - larger) : 0.0f;
      sum[h] = sum[h] * keep[h] + mass[h];
      maximum[h] = larger;
    }
  }
};

// Two parts' outputs of this lane for each head: PACKS times N neighbouring elements.
template <int N, int PACKS>
struct Outputs {
  float values[2][merged_heads][PACKS][N] = {};

  // Of the parts that lanes `first` and `first` + 1 look at, of `count`.
  __device__ void read(const WorkArgs& args, std::int64_t my_part, int first, int count, int heads) {
#pragma unroll
    for (int i = 0; i < 2; ++i) {
      const std::int64_t part = __shfl_sync(0xffffffffu, my_part, min(first + i, count - 1));
#pragma unroll
      for (int h = 0; h < merged_heads; ++h) {
#pragma unroll
        for (int p = 0; p < PACKS; ++p) {
          const int dim = (static_cast<int>(threadIdx.x % warp_size) + p * warp_size) * N;
          if (dim >= args.head_dim) continue;
          load(args.part_out + (part + min(h, heads - 1)) * args.head_dim + dim, values[i][h][p]);
        }
      }
    }
  }
};

// A warp a row and merged_heads of its heads.
template <class T, int N, int PACKS>
__global__ void merge(WorkArgs args) {
  begin_kernel();
  const int groups = (args.n_heads + merged_heads - 1) / merged_heads, lane = threadIdx.x % warp_size;
  const std::int64_t index = static_cast<std::int64_t>(blockIdx.x) * warps + threadIdx.x / warp_size;
  if (index >= args.n_rows * groups) return;
  const std::int64_t row = index / groups;
  const int first_head = static_cast<int>(index % groups) * merged_heads;
  const int heads = min(merged_heads, args.n_heads - first_head);
  const std::int64_t begin = args.row_parts_begin[row], end = args.row_parts_begin[row + 1];

  Masses masses;
  float merged[merged_heads][PACKS][N] = {};
  for (std::int64_t first = begin; first < end; first += warp_size) {
    const int count = static_cast<int>(min(end - first, std::int64_t{warp_size}));
    const std::int64_t my_part = lane < count ? args.row_parts[first + lane] + first_head : -1;
    Outputs<N, PACKS> outputs;
    outputs.read(args, my_part, 0, count, heads);  // on their way while the masses are
    float keep[merged_heads];
    masses.add(args, my_part, heads, keep);
#pragma unroll
    for (int h = 0; h < merged_heads; ++h) {
#pragma unroll
      for (int p = 0; p < PACKS; ++p) {
#pragma unroll
        for (int j = 0; j < N; ++j) merged[h][p][j] *= keep[h];
      }
    }
    for (int part = 0; part < count; part += 2) {
      if (part > 0) outputs.read(args, my_part, part, count, heads);
#pragma unroll
      for (int i = 0; i < 2; ++i) {
#pragma unroll
        for (int h = 0; h < merged_heads; ++h) {
          const float mass = __shfl_sync(0xffffffffu, masses.mass[h], min(part + i, warp_size - 1));
          const float weight = part + i < count ? mass : 0.0f;
#pragma unroll
          for (int p = 0; p < PACKS; ++p) {
#pragma unroll
            for (int j = 0; j < N; ++j) merged[h][p][j] += weight * outputs.values[i][h][p][j];
          }
        }
      }
    }
  }
#pragma unroll
  for (int h = 0; h < merged_heads; ++h) {
    const float sum = reduce_warp(masses.sum[h], [](float a, float b) { return a + b; });
    if (h >= heads) continue;
    const float share = sum > 0 ? 1.0f / sum : 0.0f;
    const std::int64_t result = row * args.n_heads + first_head + h;
#pragma unroll
    for (int p = 0; p < PACKS; ++p) {
      const int dim = (lane + p * warp_size) * N;
      if (dim >= args.head_dim) continue;
#pragma unroll
      for (int j = 0; j < N; ++j) merged[h][p][j] *= share;
      store(static_cast<T*>(args.out) + result * args.head_dim + dim, merged[h][p]);
    }
    if (args.lse != nullptr && lane == 0) args.lse[result] = lse_of(masses.maximum[h], sum);
  }
}

template <class T, int N>
void launch_merge(const WorkArgs& args, cudaStream_t stream) {
  const std::int64_t units = args.n_rows * ((args.n_heads + merged_heads - 1) / merged_heads);
  const auto blocks = static_cast<unsigned>((units + warps - 1) / warps);
  constexpr int most_packs = most_head_dim / (warp_size * N), half = most_packs / 2;
  if (args.head_dim <= half * warp_size * N) {
    launch(merge<T, N, half>, blocks, warps * warp_size, 0, stream, args);
  } else {
    launch(merge<T, N, most_packs>, blocks, warps * warp_size, 0, stream, args);
  }
}

}  // namespace

void merge_parts(const WorkArgs& args, DType dtype, cudaStream_t stream) {
  if (args.n_rows == 0) return;
  with_element(dtype, [&]<class T>(T*) {
    if (packs_of(4, sizeof(T), {args.head_dim}, {args.out})) {
      launch_merge<T, 4>(args, stream);
    } else {
      launch_merge<T, 1>(args, stream);
    }
  });
}

}  // namespace hydrajob::cuda
