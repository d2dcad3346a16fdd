// What every attention kernel does with a work item: what its rows see, and where their results go.
#pragma once

#include <cstdint>

#include "kernels/cuda/attention_work.hpp"
#include "kernels/cuda/element.cuh"

namespace hydrajob::cuda {

// Tokens from the item's first on that its row may see, however many the item has: rows of a stream see own
// tokens up to themselves. May be negative.
__device__ inline std::int32_t seen_from(const WorkItem& item, const WorkArgs& args, std::int32_t row) {
  if (item.stream < 0) return item.kv_tokens;
  const std::int64_t last = args.stream_row[item.stream + 1];
  return static_cast<std::int32_t>(args.own_length[item.stream] - (last - (item.row_begin + row)) + 1 -
                                   item.kv_begin);
}

// Tokens of the item that its row may see.
__device__ inline std::int32_t visible(const WorkItem& item, const WorkArgs& args, std::int32_t row) {
  return max(0, min(seen_from(item, args, row), item.kv_tokens));
}

// Where the item's results begin, (n_rows, n_heads) of them: partial, or final where the item is all of its
// rows.
__device__ inline std::int64_t first_result(const WorkItem& item, const WorkArgs& args) {
  return args.part_out != nullptr ? item.part : item.row_begin * args.n_heads;
}

// log-sum-exp of scores whose scaled maximum is `maximum` and whose sum relative to it is `sum`.
__device__ inline float lse_of(float maximum, float sum) {
  return sum > 0 ? maximum + logf(sum) : -INFINITY;
}

// maximum: of the scaled scores; sum: of their exponentials relative to it.
__device__ inline void write_sum(const WorkArgs& args, std::int64_t result, float maximum, float sum) {
  if (args.part_out != nullptr) {
    args.part_sum[2 * result] = maximum;
    args.part_sum[2 * result + 1] = sum;
  } else if (args.lse != nullptr) {
    args.lse[result] = lse_of(maximum, sum);
  }
}

// N neighbouring values of a result, from dimension `dim` on.
template <class T, int N>
__device__ inline void write_out(const WorkArgs& args, std::int64_t result, std::int32_t dim,
                                 const float (&values)[N]) {
  const std::int64_t at = result * args.head_dim + dim;
  if (args.part_out != nullptr) {
    store(args.part_out + at, values);
  } else {
    store(static_cast<T*>(args.out) + at, values);
  }
}

}  // namespace hydrajob::cuda
