// What one thread computes at a time: a block of query rows against a run of keys. Each instruction set and
// element type has one table of these functions (attention_tile.hpp holds them all, as templates).
//
// A *packed row* is one query head of one row: the heads that read the same KV head stand together, so that
// grouped heads share each key that is loaded. Packed row p of a block is head p % group of row p / group.
#pragma once

#include <cstddef>
#include <cstdint>

#include "base/dtype.hpp"
#include "kernels/cpu/isa.hpp"

namespace hydrajob::cpu {

// Keys that are packed, scored and summed at a time: K and V of a block stay in the first two caches.
inline constexpr std::int64_t key_block = 64;
// Outputs are padded to this many floats (one cache line), and so are arrays of one value a row.
inline constexpr std::int64_t float_pad = 16;
// Stands for the maximum of nothing; finite, so that differences stay numbers.
inline constexpr float no_maximum = -1e30F;

constexpr std::int64_t padded(std::int64_t floats) {
  return (floats + float_pad - 1) / float_pad * float_pad;
}

// The softmax of a block of packed rows as far as it has got.
struct RunningSoftmax {
  float* maximum = nullptr;  // (rows) scaled score, base 2, that the two below are relative to; or no_maximum
  float* sum = nullptr;      // (rows) of 2^(score - maximum)
  float* output =
      nullptr;  // (rows, padded(head_dim)) sum of 2^(score - maximum) value; undefined where sum is 0
};

// Memory of one thread, each array on a cache line of its own. `rows` is the largest block.
struct BlockScratch {
  void* queries = nullptr;     // (rows, head_dim) f32, or bf16 pairs: what products read
  float* keys = nullptr;       // (head_dim, key_block) or, of bf16 pairs, (head_dim / 2, key_block)
  float* values = nullptr;     // (key_block, padded(head_dim)) or, of bf16 pairs, half as many
  float* scores = nullptr;     // (rows of a tile, key_block)
  void* weights = nullptr;     // (rows of a tile, key_block) f32, or bf16 pairs
  float* lane_sums = nullptr;  // (rows, float_pad) sums of weights, one a vector lane
  float* factors = nullptr;    // (2, padded(rows)) of merging
};

// Where the rows of a block stand in q or out: element (p, d) at base + (p / group) row_stride + (p % group)
// head_dim + d.
struct BlockRows {
  std::int64_t n_packed = 0;
  std::int64_t group = 0;
  std::int64_t row_stride = 0;
  std::int64_t head_dim = 0;
};

// Keys and values of one KV head that a block sees: packed row p the first first_limit + p / group of them,
// or all.
struct BlockKeys {
  const void* k = nullptr;  // (n_keys, head_dim), token_stride elements apart
  const void* v = nullptr;  // (n_keys, head_dim), token_stride elements apart
  std::int64_t token_stride = 0;
  std::int64_t n_keys = 0;
  bool causal = false;
  std::int64_t first_limit = 0;  // may be negative: nothing yet
};

struct BlockKernels {
  std::size_t query_bytes = 0;  // of one value of scratch.queries
  // Takes the block's queries into scratch.queries. q: of the block's first packed row.
  void (*load_queries)(const BlockRows& rows, const void* q, const BlockScratch& scratch);
  // Adds the keys to the rows' softmax. scale: of scores, positive, times log2(e).
  void (*accumulate)(const BlockRows& rows, const BlockKeys& keys, float scale, const RunningSoftmax& softmax,
                     const BlockScratch& scratch);
  // into += part.
  void (*merge)(const BlockRows& rows, const RunningSoftmax& part, const RunningSoftmax& into,
                const BlockScratch& scratch);
  // out = output / sum, 0 for empty rows. out: of the block's first packed row.
  void (*finish)(const BlockRows& rows, const RunningSoftmax& softmax, void* out);
};

// Throws nothing; `isa` must be one that the processor has.
const BlockKernels& block_kernels(DType dtype, Isa isa);

}  // namespace hydrajob::cpu
