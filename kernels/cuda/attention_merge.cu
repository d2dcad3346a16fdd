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
// Blocks that a multiprocessor holds of those that merge apart, for heads of up to 128: fewer where a warp
// reads three parts at once, which is faster while all rows find room, and slower where there are more.
constexpr int blocks_of_two = 8, blocks_of_three = 7;
constexpr int merge_blocks(bool share, int lane_elements, int at_once) {
  if (share || lane_elements > 4) return 1;
  return at_once == 3 ? blocks_of_three : blocks_of_two;
}

// Some of args.row_parts.
struct Parts {
  std::int64_t begin, end;

  // Of the thirty-two from `first` on, which all lanes ask for together, a lane's; negative for none.
  __device__ std::int64_t of_lane(const WorkArgs& args, std::int64_t first) const {
    const std::int64_t mine = first + threadIdx.x % warp_size;
    return mine < end ? args.row_parts[mine] : -1;
  }
};

__device__ Parts parts_of(const WorkArgs& args, std::int64_t row) {
  const std::int64_t each = args.parts_of_each;
  if (each > 0) return {row * each, (row + 1) * each};
  return {args.row_parts_begin[row], args.row_parts_begin[row + 1]};
}

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

  // AT_ONCE of the parts at a time. of_lane: of the first of them.
  template <int AT_ONCE>
  __device__ void add_parts(const WorkArgs& args, const Parts& parts, std::int64_t of_lane, int first_head,
                            int heads) {
    Masses masses;
    for (std::int64_t first = parts.begin; first < parts.end; first += warp_size) {
      const int count = static_cast<int>(min(parts.end - first, std::int64_t{warp_size}));
      if (first > parts.begin) of_lane = parts.of_lane(args, first);
      const std::int64_t my_part = of_lane < 0 ? of_lane : of_lane + first_head;
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
template <class T, int N, int PACKS, bool SHARE, int AT_ONCE>
__global__ __launch_bounds__((SHARE ? sharing_warps : apart_warps) * warp_size,
                             merge_blocks(SHARE, PACKS* N, AT_ONCE)) void merge(WorkArgs args) {
  admit_next_kernel();
  constexpr int warps = SHARE ? 1 : apart_warps;
  const unsigned groups = (args.n_heads + merged_heads - 1) / merged_heads;
  const int warp = threadIdx.x / warp_size;
  const unsigned index = blockIdx.x * warps + (SHARE ? 0 : warp);
  const std::int64_t row = index / groups;
  if (row >= args.n_rows) return;
  const int first_head = static_cast<int>(index % groups) * merged_heads;
  const int heads = min(merged_heads, args.n_heads - first_head);
  Parts parts = parts_of(args, row);
  if constexpr (SHARE) {
    const std::int64_t each = (parts.end - parts.begin + sharing_warps - 1) / sharing_warps;
    parts.begin = min(parts.begin + warp * each, parts.end);
    parts.end = min(parts.begin + each, parts.end);
  }
  const std::int64_t of_lane = parts.of_lane(args, parts.begin);
  await_kernels_before();  // the plan was there before them
  Merged<N, PACKS> merged;
  merged.template add_parts<AT_ONCE>(args, parts, of_lane, first_head, heads);
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
// share them all at once, but fewer rows are on a multiprocessor then. (The figures were chosen when no warp
// read three parts; shapes near the border were not measured since.)
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
  const auto launch_units = [&](auto kernel, std::int64_t of_block, int warps) {
    launch(kernel, static_cast<unsigned>((units + of_block - 1) / of_block), warps * warp_size, 0, stream,
           args);
  };
  const auto launch_with = [&]<int PACKS>(std::integral_constant<int, PACKS>) {
    constexpr bool small = PACKS * N <= 4;
    constexpr int four = small ? 4 : 2, three = small ? 3 : 2;
    if (share_parts(units, most_parts, processors)) {
      launch_units(merge<T, N, PACKS, true, four>, 1, sharing_warps);
    } else if (small && most_parts > 2 && units <= blocks_of_three * apart_warps * processors.count) {
      launch_units(merge<T, N, PACKS, false, three>, apart_warps, apart_warps);
    } else {
      launch_units(merge<T, N, PACKS, false, 2>, apart_warps, apart_warps);
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
