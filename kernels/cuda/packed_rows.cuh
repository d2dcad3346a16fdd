// The rows that a block of the tensor cores' kernels multiplies: query rows with the heads of their group.
#pragma once

#include "kernels/cuda/attention_item.cuh"

namespace hydrajob::cuda {

// Query rows of one KV head's group are packed: packed row p is row p / group, head p % group of the group.
struct PackedRows {
  int group;
  int count;       // n_rows * group
  int first_head;  // of the group

  __device__ PackedRows(const WorkItem& item, int kv_head, const WorkArgs& args)
      : group(args.n_heads / args.n_kv_heads), count(item.n_rows * group), first_head(kv_head * group) {}
  __device__ int row(int packed) const { return packed / group; }
  __device__ int head(int packed) const { return first_head + packed % group; }
  // Keys that the packed row sees; none beyond the last.
  __device__ int limit(int packed, const WorkItem& item, const WorkArgs& args) const {
    return packed < count ? visible(item, args, row(packed)) : 0;
  }
};

}  // namespace hydrajob::cuda
