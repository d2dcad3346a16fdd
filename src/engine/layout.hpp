// Where everything of a batch stands: the order of sequences, their tokens in the cache, and the rows of
// every forward pass. Host arithmetic only; the tokens of a batch are known before anything is computed, so
// are all its passes.
#pragma once

#include <cstdint>
#include <vector>

#include "engine/batch.hpp"

namespace hydrajob {

// The rows of one forward pass: one row a token. Streams and segments as in kernels/attention.hpp.
struct Pass {
  std::vector<std::int32_t> ids;            // (rows)
  std::vector<std::int32_t> positions;      // (rows)
  std::vector<std::int64_t> slots;          // (rows) token in the cache that the row is written to
  std::vector<std::int64_t> stream_row;     // (streams + 1)
  std::vector<std::int64_t> own_first;      // (streams)
  std::vector<std::int32_t> own_length;     // (streams)
  std::vector<std::int64_t> segment_first;  // (segments), as the three below
  std::vector<std::int32_t> segment_length;
  std::vector<std::int64_t> segment_row_begin;
  std::vector<std::int64_t> segment_row_end;

  // Rows whose logits are wanted: row `source` is distinct logits row `target`.
  struct Wanted {
    std::int64_t source = 0;
    std::int64_t target = 0;
  };
  std::vector<Wanted> wanted;

  std::int64_t n_rows() const { return static_cast<std::int64_t>(ids.size()); }
  std::int64_t n_streams() const { return static_cast<std::int64_t>(own_first.size()); }
  std::int64_t n_segments() const { return static_cast<std::int64_t>(segment_first.size()); }
};

// Tokens of a node's segment that every sequence below it holds a copy of (noshared).
struct CacheCopy {
  std::int64_t from = 0;
  std::int64_t to = 0;
  std::int64_t tokens = 0;
};

struct BatchLayout {
  std::vector<std::int32_t> sequence;  // (rows of decode) index into Batch::sequences, in depth-first order
  std::vector<std::int32_t>
      logits_row;  // (rows of decode) distinct logits row that the first token is drawn from
  std::int64_t n_logits_rows = 0;
  std::int64_t cache_tokens = 0;
  std::int64_t positions = 0;  // one more than the largest position used

  std::vector<Pass> prefill;      // in order; copies happen between tree and prompts
  std::size_t prompts_begin = 0;  // first pass of `prefill` that belongs to the sequences' prompts
  std::vector<CacheCopy> copies;
  Pass decode;  // of the first step; every step adds one to positions, slots and own_length
};

struct LayoutRequest {
  bool copy_path = false;            // noshared: each sequence holds its own copy of all that is above it
  std::int64_t prefill_chunk = 512;  // rows of one pass at most
  // So many leading nodes stand in the cache already, where this layout places them. Of one whose last logits
  // are wanted the last token is computed again.
  std::size_t kept_nodes = 0;
};

// How many leading nodes are the same in both batches and get the same places in the cache.
std::size_t same_leading_nodes(const Batch& a, const Batch& b);

// Throws UsageError for a tree whose parents do not precede their children, for a sequence without any token,
// and for new_tokens < 1.
BatchLayout make_layout(const Batch& batch, const LayoutRequest& request);

}  // namespace hydrajob
