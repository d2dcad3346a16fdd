// A block of keys and values in the form that products read. See attention_tile.hpp for how and where it is
// included.
#pragma once

#include <cstddef>
#include <cstdint>

#include "kernels/cpu/attention_block.hpp"
#include "kernels/cpu/attention_product.hpp"

namespace hydrajob::cpu {
namespace {

template <class F>
struct PackedKeys {
  const float* keys = nullptr;    // (elements of head_dim, key_block)
  const float* values = nullptr;  // (elements of the keys, padded head_dim)
  std::int64_t value_stride = 0;  // floats
  std::int64_t n_keys = 0;        // <= key_block; scores of others are undefined, values are not read
};

// Transposes the keys: the vector of a dimension holds one element of each of `width` keys.
template <class F>
void pack_keys(const typename F::Stored* k, std::int64_t token_stride, std::int64_t n_keys,
               std::int64_t elements, float* packed) {
  using V = typename F::Vector;
  for (std::int64_t key = 0; key < n_keys; key += V::width) {
    const std::int64_t present = smaller(V::width, n_keys - key);
    for (std::int64_t e = 0; e < elements; e += V::width) {
      const std::int64_t count = smaller(V::width, elements - e);
      typename V::Vec block[V::width];
#pragma GCC unroll 16
      for (int i = 0; i < V::width; ++i) {
        const typename F::Stored* source = k + (key + smaller(i, present - 1)) * token_stride;
        block[i] = F::load_elements(source, e, count);
      }
      V::transpose(block);
#pragma GCC unroll 16
      for (int i = 0; i < V::width; ++i) {  // a bound that is known keeps the block in registers
        if (i < count) V::store(packed + (e + i) * key_block + key, block[i]);
      }
    }
  }
}

// Asks for the cache lines of the next block of keys, a few at a time between pieces of work on this one: in
// one go they would fill the queue of outstanding misses and stop everything behind them.
template <class F>
class Ahead {
 public:
  Ahead(const BlockKeys& keys, std::int64_t head_dim, std::int64_t begin, std::int64_t end,
        std::int64_t steps)
      : keys_(keys), head_dim_(head_dim), next_(begin), end_(end), step_(ceil_div(end - begin, steps)) {}

  void step() {
    for (const std::int64_t stop = smaller(next_ + step_, end_); next_ < stop; ++next_) {
      fetch(keys_.k);
      fetch(keys_.v);
    }
  }

 private:
  using Stored = typename F::Stored;
  static constexpr std::int64_t line = 64 / static_cast<std::int64_t>(sizeof(Stored));

  void fetch(const void* tokens) const {
    const auto* token = static_cast<const Stored*>(tokens) + next_ * keys_.token_stride;
    // To the second cache: the first is full of this block.
    for (std::int64_t d = 0; d < head_dim_; d += line) __builtin_prefetch(token + d, 0, 2);
  }

  const BlockKeys& keys_;
  const std::int64_t head_dim_;
  std::int64_t next_;
  const std::int64_t end_;
  const std::int64_t step_;
};

// Keys that are packed between two steps ahead.
inline constexpr std::int64_t pack_group = 16;
inline constexpr std::int64_t pack_steps = 2 * key_block / pack_group;

template <class F>
PackedKeys<F> pack_block(const BlockKeys& keys, std::int64_t first, std::int64_t n_keys,
                         std::int64_t head_dim, const BlockScratch& scratch, Ahead<F>& ahead) {
  const auto* k = static_cast<const typename F::Stored*>(keys.k) + first * keys.token_stride;
  const auto* v = static_cast<const typename F::Stored*>(keys.v) + first * keys.token_stride;
  const std::int64_t stride = keys.token_stride;
  PackedKeys<F> packed{scratch.keys, scratch.values, padded(head_dim), n_keys};
  for (std::int64_t i = 0; i < n_keys; i += pack_group) {
    ahead.step();
    pack_keys<F>(k + i * stride, stride, smaller(pack_group, n_keys - i), F::elements(head_dim),
                 scratch.keys + i);
  }
  if (F::reads_values_in_place(head_dim)) {
    packed.values = reinterpret_cast<const float*>(v);
    packed.value_stride = stride;
    return packed;
  }
  for (std::int64_t i = 0; i < n_keys; i += pack_group) {
    ahead.step();
    F::pack_values(v + i * stride, stride, smaller(pack_group, n_keys - i), head_dim,
                   scratch.values + i / F::keys_per_element * packed.value_stride);
  }
  return packed;
}

}  // namespace
}  // namespace hydrajob::cpu
