// Merges partial attention results: softmax over parts of the keys, each part weighted by its share of the
// sum (Hydragen, arXiv 2402.05099, equation 5). Partial results are f32 until here.
#include <type_traits>

#include "device/cuda_stream.hpp"
#include "kernels/cuda/attention_item.cuh"
#include "kernels/cuda/attention_kernels.hpp"
#include "kernels/cuda/launch.cuh"
#include "kernels/cuda/packs.hpp"
#include "kernels/cuda/reduce.cuh"

namespace hydrajob::cuda {
namespace {

// Neighbouring heads of a row that a warp merges: they are in the same parts, and their reads wait together.
constexpr int merged_heads = 2;
// Of a block where each merges all parts of a row, and where all of them share one row's.
constexpr int apart_warps = 4, sharing_warps = 16;

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

// AT_ONCE parts' outputs of this lane for each head: PACKS times N neighbouring elements.
template <int N, int PACKS, int AT_ONCE>
struct Outputs {
  float values[AT_ONCE][merged_heads][PACKS][N] = {};

  // Of the parts that lanes `first` and following look at, of `count`.
  __device__ void read(const WorkArgs& args, std::int64_t my_part, int first, int count, int heads) {
#pragma unroll
    for (int i = 0; i < AT_ONCE; ++i) {
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

// What a warp has merged, for each head: relative to `maximum`, and not yet divided by the sum.
template <int N, int PACKS>
struct Merged {
  float maximum[merged_heads], sum[merged_heads];
  float out[merged_heads][PACKS][N] = {};

  // Parts `begin` to `end` of args.row_parts, AT_ONCE of them at a time.
  template <int AT_ONCE>
  __device__ void add_parts(const WorkArgs& args, std::int64_t begin, std::int64_t end, int first_head,
                            int heads) {
    const int lane = threadIdx.x % warp_size;
    Masses masses;
    for (std::int64_t first = begin; first < end; first += warp_size) {
      const int count = static_cast<int>(min(end - first, std::int64_t{warp_size}));
      const std::int64_t my_part = lane < count ? args.row_parts[first + lane] + first_head : -1;
      Outputs<N, PACKS, AT_ONCE> outputs;
      outputs.read(args, my_part, 0, count, heads);  // on their way while the masses are
      float keep[merged_heads];
      masses.add(args, my_part, heads, keep);
      scale(keep);
      for (int part = 0; part < count; part += AT_ONCE) {
        if (part > 0) outputs.read(args, my_part, part, count, heads);
#pragma unroll
        for (int i = 0; i < AT_ONCE; ++i) {
#pragma unroll
          for (int h = 0; h < merged_heads; ++h) {
            const float mass = __shfl_sync(0xffffffffu, masses.mass[h], min(part + i, warp_size - 1));
            add(h, part + i < count ? mass : 0.0f, outputs.values[i][h]);
          }
        }
      }
    }
#pragma unroll
    for (int h = 0; h < merged_heads; ++h) {
      maximum[h] = masses.maximum[h];
      sum[h] = reduce_warp(masses.sum[h], [](float a, float b) { return a + b; });
    }
  }

  __device__ void scale(const float (&factor)[merged_heads]) {
#pragma unroll
    for (int h = 0; h < merged_heads; ++h) {
#pragma unroll
      for (int p = 0; p < PACKS; ++p) {
#pragma unroll
        for (int j = 0; j < N; ++j) out[h][p][j] *= factor[h];
      }
    }
  }

  __device__ void add(int h, float weight, const float (&values)[PACKS][N]) {
#pragma unroll
    for (int p = 0; p < PACKS; ++p) {
#pragma unroll
      for (int j = 0; j < N; ++j) out[h][p][j] += weight * values[p][j];
    }
  }

  template <class T>
  __device__ void write(const WorkArgs& args, std::int64_t result, int heads) {
    const int lane = threadIdx.x % warp_size;
    float share[merged_heads];
#pragma unroll
    for (int h = 0; h < merged_heads; ++h) share[h] = sum[h] > 0 ? 1.0f / sum[h] : 0.0f;
    scale(share);
#pragma unroll
    for (int h = 0; h < merged_heads; ++h) {
      if (h >= heads) continue;
#pragma unroll
      for (int p = 0; p < PACKS; ++p) {
        const int dim = (lane + p * warp_size) * N;
        if (dim < args.head_dim) {
          store(static_cast<T*>(args.out) + (result + h) * args.head_dim + dim, out[h][p]);
        }
      }
      if (args.lse != nullptr && lane == 0) args.lse[result + h] = lse_of(maximum[h], sum[h]);
    }
  }
};

// What the warps of a block have merged, until one merges it.
template <int N, int PACKS>
struct Shares {
  Merged<N, PACKS> of_lane[sharing_warps][warp_size];

  __device__ void put(const Merged<N, PACKS>& merged) {
    of_lane[threadIdx.x / warp_size][threadIdx.x % warp_size] = merged;
  }

  __device__ Merged<N, PACKS> merge() const {
    const int lane = threadIdx.x % warp_size;
    Merged<N, PACKS> all;
#pragma unroll
    for (int h = 0; h < merged_heads; ++h) {
      all.maximum[h] = -INFINITY;
      all.sum[h] = 0;
      for (const auto& lanes : of_lane) all.maximum[h] = fmaxf(all.maximum[h], lanes[lane].maximum[h]);
      for (const auto& lanes : of_lane) {
        const float maximum = lanes[lane].maximum[h];
        // Added where it counts nothing, too: what is not a number stays that.
        const float keep = maximum == -INFINITY ? 0.0f : expf(maximum - all.maximum[h]);
        all.sum[h] += keep * lanes[lane].sum[h];
        all.add(h, keep, lanes[lane].out[h]);
      }
    }
    return all;
  }
};

// A warp for a row and merged_heads of its heads, or where they SHARE its parts a block.
template <class T, int N, int PACKS, bool SHARE>
__global__ __launch_bounds__((SHARE ? sharing_warps : apart_warps) * warp_size) void merge(WorkArgs args) {
  begin_kernel();
  constexpr int warps = SHARE ? 1 : apart_warps;
  const int groups = (args.n_heads + merged_heads - 1) / merged_heads;
  const int warp = threadIdx.x / warp_size;
  const std::int64_t index = static_cast<std::int64_t>(blockIdx.x) * warps + (SHARE ? 0 : warp);
  if (index >= args.n_rows * groups) return;
  const std::int64_t row = index / groups;
  const int first_head = static_cast<int>(index % groups) * merged_heads;
  const int heads = min(merged_heads, args.n_heads - first_head);
  std::int64_t begin = args.row_parts_begin[row], end = args.row_parts_begin[row + 1];
  if constexpr (SHARE) {
    const std::int64_t parts = (end - begin + sharing_warps - 1) / sharing_warps;
    begin = min(begin + warp * parts, end);
    end = min(begin + parts, end);
  }
  Merged<N, PACKS> merged;
  merged.template add_parts<SHARE && PACKS * N <= 4 ? 4 : 2>(args, begin, end, first_head, heads);
  if constexpr (SHARE) {
    __shared__ Shares<N, PACKS> shares;
    shares.put(merged);
    __syncthreads();
    if (warp > 0) return;
    merged = shares.merge();
  }
  merged.template write<T>(args, row * args.n_heads + first_head, heads);
}

// Whether it takes fewer reads one after another: a warp reads two parts at a time, those of a block that
// share them all at once, but fewer rows are on a multiprocessor then.
bool share_parts(std::int64_t units, std::int64_t most_parts, const Processors& processors) {
  constexpr std::int64_t apart_at_once = 48, shared_at_once = 3, overhead = 3;
  const auto rounds = [&](std::int64_t at_once) {
    return (units + at_once * processors.count - 1) / (at_once * processors.count);
  };
  const std::int64_t apart = rounds(apart_at_once) * ((most_parts + 1) / 2);
  const std::int64_t shared = rounds(shared_at_once) * (overhead + (most_parts + 63) / 64);
  return shared < apart;
}

template <class T, int N>
void launch_merge(const WorkArgs& args, std::int64_t most_parts, const Processors& processors,
                  cudaStream_t stream) {
  const std::int64_t units = args.n_rows * ((args.n_heads + merged_heads - 1) / merged_heads);
  const auto launch_with = [&]<int PACKS>(std::integral_constant<int, PACKS>) {
    if (share_parts(units, most_parts, processors)) {
      launch(merge<T, N, PACKS, true>, static_cast<unsigned>(units), sharing_warps * warp_size, 0, stream,
             args);
    } else {
      launch(merge<T, N, PACKS, false>, static_cast<unsigned>((units + apart_warps - 1) / apart_warps),
             apart_warps * warp_size, 0, stream, args);
    }
  };
  constexpr int most_packs = most_head_dim / (warp_size * N), half = most_packs / 2;
  if (args.head_dim <= half * warp_size * N) {
    launch_with(std::integral_constant<int, half>());
  } else {
    launch_with(std::integral_constant<int, most_packs>());
  }
}

}  // namespace

void merge_parts(const WorkArgs& args, std::int64_t most_parts, const Processors& processors, DType dtype,
                 cudaStream_t stream) {
  if (args.n_rows == 0) return;
  with_element(dtype, [&]<class T>(T*) {
    if (packs_of(4, sizeof(T), {args.head_dim}, {args.out})) {
      launch_merge<T, 4>(args, most_parts, processors, stream);
    } else {
      launch_merge<T, 1>(args, most_parts, processors, stream);
    }
  });
}

}  // namespace hydrajob::cuda
