// How an attention problem is cut into work: host arithmetic on lengths and row ranges.
//
// Keys come in *parts*, runs of the cache that consecutive rows see: a shared segment for all of its rows,
// or, private to one stream, its own tokens and whatever is read once for each stream. Shared parts and long
// private ones are cut into chunks of keys; each chunk's softmax is *held* in the workspace until a second
// phase merges it. Short private parts are summed in that second phase itself, which then writes the result:
// they leave no trace in memory.
//
// Results must not depend on the number of threads. A row's arithmetic is fixed by the chunks, which follow
// from the shape alone; how many rows a thread takes at a time, which does follow the threads, changes no
// sum.
#pragma once

#include <cstddef>
#include <cstdint>
#include <vector>

#include "kernels/attention.hpp"

namespace hydrajob::cpu {

struct KeyPart {
  std::int64_t first_key = 0;  // token of the cache
  std::int64_t length = 0;     // tokens
  std::int64_t row_begin = 0;
  std::int64_t row_end = 0;
  bool causal = false;
  std::int64_t first_limit = 0;  // causal: keys that row_begin sees, one more each row; negative: none yet
  std::int64_t n_chunks = 0;     // 0: summed in the second phase
  std::int64_t chunk = 0;        // keys of each chunk but the last
  std::size_t held = 0;          // floats before its first held softmax
};

struct AttentionPlan {
  // Of phase 1, each for every KV head: rows against one chunk of a held part.
  struct ChunkRows {
    std::int32_t part = 0;
    std::int64_t chunk = 0;
    std::int64_t row_begin = 0;
    std::int64_t row_end = 0;
  };
  // Of phase 2, each for every KV head: rows of one stream, from their private parts to the result.
  struct StreamRows {
    std::int64_t stream = 0;
    std::int64_t row_begin = 0;
    std::int64_t row_end = 0;
  };

  std::vector<KeyPart> parts;
  std::vector<std::int64_t> part_begin;    // (n_streams + 1) where each stream's parts begin in stream_parts
  std::vector<std::int32_t> stream_parts;  // indices into parts
  std::vector<ChunkRows> phase1;           // longest first
  std::vector<StreamRows> phase2;          // longest first
  std::size_t held_floats = 0;
};

// Floats that the softmax of `rows` rows and one KV head is held in.
std::size_t held_softmax_floats(std::int64_t rows, std::int64_t group, std::int64_t head_dim);

// Packed rows of the largest block that a plan asks for.
std::int64_t largest_block(std::int64_t group);

AttentionPlan make_attention_plan(const AttentionArgs& args, int threads);

}  // namespace hydrajob::cpu
