// The attention of a tree: query rows against shared segments of the KV cache and against each stream's own
// tokens, merged by log-sum-exp (Hydragen, arXiv 2402.05099, section 3: the decomposition is exact).
//
// One problem covers prefill and decode. A *stream* is a sequence (or a segment being filled): a run of
// consecutive query rows and its own tokens in the cache, causal among themselves. A *segment* is a run of
// cached tokens that consecutive query rows share and all see in full. Sequences are kept in depth-first
// order of their tree, so the rows below any node are consecutive, whatever the depth, raggedness or fan-out.
#pragma once

#include <cstddef>
#include <cstdint>

#include "base/dtype.hpp"

namespace hydrajob {

// One layer's keys and values: (n_kv_heads, tokens, head_dim), head_dim innermost and dense. Strides in
// elements.
struct KvView {
  void* k = nullptr;
  void* v = nullptr;
  std::int64_t head_stride = 0;
  std::int64_t token_stride = 0;
  std::int64_t tokens = 0;  // that there are of each head; 0: not known
};

struct AttentionArgs {
  const void* q = nullptr;  // (n_rows, n_heads, head_dim), dtype
  void* out = nullptr;      // (n_rows, n_heads, head_dim), dtype
  float* lse =
      nullptr;  // (n_rows, n_heads) natural log-sum-exp of the scaled scores, -inf for an empty row; or null
  KvView kv;

  std::int64_t n_rows = 0;
  std::int64_t n_heads = 0;
  std::int64_t n_kv_heads = 0;  // divides n_heads; query head h reads KV head h / (n_heads / n_kv_heads)
  std::int64_t head_dim = 0;
  float scale = 0;           // 1 / sqrt(head_dim)
  DType dtype = DType::f32;  // of q, k, v and out; products accumulate in f32, partial results stay f32

  // Streams. Row r of stream s (r from 0, of n) sees own tokens [0, own_length[s] - n + r + 1): all that
  // stood before it and itself. own_length counts the tokens of these rows, already in the cache; a stream
  // whose own_length is 0 sees its segments only (all of its rows).
  std::int64_t n_streams = 0;
  const std::int64_t* stream_row = nullptr;  // (n_streams + 1) first row of each stream; the last is n_rows
  const std::int64_t* own_first = nullptr;   // (n_streams) first own token in the cache
  const std::int32_t* own_length = nullptr;  // (n_streams)

  // Shared segments, each seen in full by rows [segment_row_begin, segment_row_end).
  std::int64_t n_segments = 0;
  const std::int64_t* segment_first = nullptr;      // (n_segments) first token in the cache
  const std::int32_t* segment_length = nullptr;     // (n_segments) may be 0
  const std::int64_t* segment_row_begin = nullptr;  // (n_segments)
  const std::int64_t* segment_row_end = nullptr;    // (n_segments)

  // true: each segment is read once for all of its rows (hydragen); false: once for each stream (paged).
  bool share = true;

  void* workspace = nullptr;
  std::size_t workspace_bytes = 0;  // at least what the plan says
};

// How far a backend cuts what a row sees, beyond its segments and its own tokens, to fill its processors: so
// that the workspace can be known from a run's shapes. A partial result: of one row and head, head_dim values
// and two of its softmax, f32.
struct AttentionCuts {
  std::int64_t shortest_part = 0;  // tokens; 0: the backend cuts otherwise
  std::int64_t spare_results = 0;  // partial results of a pass, beyond one for each row and range of tokens
};

}  // namespace hydrajob
