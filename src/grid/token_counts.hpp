// How many tokens a run computes, sees and reads: the counting under the cost model. Tokens and rows only;
// heads, widths and element sizes come in cost_model.cpp.
#pragma once

#include <cstdint>
#include <vector>

#include "grid/run_spec.hpp"

namespace hydrajob {

// What a forward pass over many rows does. `seen` pairs (query row, visible token) make the attention's
// FLOPs, `read` the tokens whose keys and values have to come from memory.
struct TokenCounts {
  double rows = 0;    // tokens computed, so also written to the cache
  double passes = 0;  // forward passes; each reads all weights
  double seen = 0;
  double read = 0;
  double copied = 0;  // noshared: tokens of the shared path copied to each sequence
};

// How a mode reads shared segments.
enum class SharedReads {
  once,          // hydragen: once for all rows of a pass below the segment
  per_sequence,  // paged: once for each sequence
  own_copy,      // noshared: every sequence has a copy of its path
};

// The tree, the prompts below it, and both, in passes of at most `prefill_chunk` rows, level by level
// (engine/layout.cpp). A segment is read as often as the rows below it need passes at least.
TokenCounts count_tree(const RunSpec& spec, SharedReads reads);
TokenCounts count_prompts(const RunSpec& spec, SharedReads reads);
TokenCounts count_prefill(const RunSpec& spec, SharedReads reads);

// One step that sees `own` tokens of each sequence's own (the mean over steps: not always whole) besides its
// path.
TokenCounts count_step(const RunSpec& spec, SharedReads reads, double own);

// Rows whose logits the first token is drawn from: one a prompt, or one a leaf where sequences have no
// prompt.
std::int64_t first_logits_rows(const RunSpec& spec);

// The largest number of rows in one pass, decode steps included.
std::int64_t largest_pass(const RunSpec& spec);

// What the passes over the streams of one depth have at most: the tree's nodes of a level, the prompts, or
// the sequences of a decode step.
struct PassShape {
  std::int64_t streams = 0;     // of all passes of this depth
  std::int64_t length = 0;      // rows of a stream
  std::int64_t own = 0;         // tokens that a stream's last row sees of its own
  std::vector<TreeLevel> seen;  // levels above with tokens, which are segments to these rows
  std::int64_t rows = 0;        // of one pass

  std::int64_t all_rows() const { return streams * length; }
};

// Of the prefill, in its order; then the decode step (or the one operation).
std::vector<PassShape> prefill_passes(const RunSpec& spec);
PassShape step_pass(const RunSpec& spec);

// Tokens that the cache has room for: the tree's and each sequence's own; noshared: its path too.
std::int64_t cache_tokens(const RunSpec& spec);

}  // namespace hydrajob
