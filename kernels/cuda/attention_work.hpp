// The attention of one pass as a list of independent pieces of work, and where their partial results stand.
// Device code reads these structures as they are.
#pragma once

#include <cstdint>

#include "kernels/attention.hpp"

namespace hydrajob::cuda {

// Some query rows against some tokens of the cache, for every KV head: a part of a segment, or of what a
// stream's rows may see of its own tokens.
struct WorkItem {
  std::int64_t kv_first;   // first token in the cache
  std::int64_t row_begin;  // first query row
  std::int64_t part;       // first row of its partial results: (n_rows, n_heads) of them, in that order
  std::int32_t n_rows;
  std::int32_t stream;     // whose own tokens these are; -1: a segment's
  std::int32_t kv_begin;   // of own tokens: how many of the stream's come before
  std::int32_t kv_tokens;  // at most; own tokens end where the stream's length on the device says
};
static_assert(sizeof(WorkItem) == 40);  // as src/grid/cost_model.cpp counts

// What the blocks of a launch have taken so far, and how many have left: zeros between launches.
struct Queue {
  std::uint32_t taken = 0;
  std::uint32_t left = 0;
};

// Everything a kernel is told besides the items.
struct WorkArgs {
  const void* q;  // (n_rows, n_heads, head_dim)
  void* out;      // (n_rows, n_heads, head_dim)
  float* lse;     // (n_rows, n_heads) or null
  KvView kv;
  std::int64_t n_rows;
  std::int32_t n_heads;
  std::int32_t n_kv_heads;
  std::int32_t head_dim;
  std::int32_t group;           // query heads of a KV head
  std::uint32_t group_inverse;  // of PackedRows
  float scale;
  const std::int64_t* stream_row;
  const std::int32_t* own_length;
  // Partial results, f32: (parts, head_dim), each divided by its sum, and (parts, 2) the scaled scores'
  // maximum and their sum relative to it: kept apart, for a log-sum-exp of huge scores has no bits left for
  // the sum. Null: each row is in one item, which writes out and lse itself.
  float* part_out;
  float* part_sum;
  const std::int64_t* row_parts_begin;  // (n_rows + 1) into row_parts
  const std::int64_t* row_parts;        // first partial row of each item that holds the row, for head 0
  std::int64_t n_row_parts;
  std::int32_t parts_of_each;  // of every row, where all have as many; else 0
};

}  // namespace hydrajob::cuda
