// The rows that a block of the tensor cores' kernels multiplies: query rows with the heads of their group.
#pragma once

#include "kernels/cuda/attention_item.cuh"
#include "kernels/cuda/attention_plan.hpp"

namespace hydrajob::cuda {

// Query rows of one KV head's group are packed: packed row p is row p / group, head p % group of the group.
// The quotient is p * inverse / 65536 rounded down, right for all p of a tile (cuda_plan_test.cpp): a
// division by what is not known before is a long chain of instructions, with nothing to do meanwhile.
struct PackedRows {
  int count;              // n_rows * group
  int first;              // place of packed row 0
  int others;             // heads of other groups
  std::uint32_t inverse;  // of the group

  __device__ PackedRows(const WorkItem& item, int kv_head, const WorkArgs& args)
      : count(item.n_rows * args.group),
        first(kv_head * args.group),
        others(args.n_heads - args.group),
        inverse(args.group_inverse) {}
  __device__ int row(int packed) const { return static_cast<int>(packed * inverse >> 16); }
  // Of the item's (n_rows, n_heads).
  __device__ int place(int packed) const { return first + row(packed) * others + packed; }
  // Keys that the packed row sees; none beyond the last.
  __device__ int limit(int packed, const WorkItem& item, const WorkArgs& args) const {
    return packed < count ? visible(item, args, row(packed)) : 0;
  }
};

}  // namespace hydrajob::cuda
