// The kernels that compute lists of work items, and the one that merges their results (docs/attention.md).
#pragma once

#include <cstdint>
#include <cuda_runtime_api.h>

#include "base/dtype.hpp"
#include "kernels/cuda/attention_plan.hpp"
#include "kernels/cuda/attention_work.hpp"

namespace hydrajob::cuda {

constexpr int most_head_dim = 256;

// Any dtype, head_dim up to most_head_dim.
void attend_plain(const WorkItem* items, std::int64_t n_items, const WorkArgs& args, DType dtype,
                  cudaStream_t stream);
// bf16 or f16 of head_dim 64, 80, 96 or 128, 16-byte aligned: items of up to tile_rows packed rows. Of f32
// there are none.
void attend_tiles(const WorkItem* items, std::int64_t n_items, const WorkArgs& args, DType dtype,
                  cudaStream_t stream);
// The same as attend_tiles on GPUs of compute capability 9.0, for heads of hopper_head_dim and a cache whose
// number of tokens is known; beside it the items `few` of up to few_rows packed rows, which
// reading_first multiprocessors take before they take tiles, or where that is 0 all beside their tiles.
// groups: warpgroups that the largest item has rows for. queue: on the device, zeros.
constexpr int hopper_head_dim = 128;
void attend_hopper(const WorkItem* items, std::int64_t n_items, int groups, const WorkItem* few,
                   std::int64_t n_few, int reading_first, const Processors& processors, Queue* queue,
                   const WorkArgs& args, DType dtype, cudaStream_t stream);
// The same as attend_tiles for items of up to some_rows, and of up to few_rows packed rows.
void attend_some(const WorkItem* items, std::int64_t n_items, const WorkArgs& args, DType dtype,
                 cudaStream_t stream);
void attend_few(const WorkItem* items, std::int64_t n_items, const Processors& processors,
                const WorkArgs& args, DType dtype, cudaStream_t stream);
// Merges each row's partial results by their sums into out and lse; rows without any become 0 and
// -inf. most_parts: of a row.
void merge_parts(const WorkArgs& args, std::int64_t most_parts, const Processors& processors, DType dtype,
                 cudaStream_t stream);

}  // namespace hydrajob::cuda
