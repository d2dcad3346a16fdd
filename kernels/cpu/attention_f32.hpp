// f32 elements for attention_tile.hpp, of any vector type.
#pragma once

#include <cstddef>
#include <cstdint>

#include "kernels/cpu/attention_block.hpp"
#include "kernels/cpu/attention_product.hpp"

namespace hydrajob::cpu {
namespace {

// f32 products of what is stored as f32 or, widened on the way, as bf16 or f16.
template <class V, class StoredT>
struct F32Elements {
  using Vector = V;
  using Stored = StoredT;
  using Element = float;
  static constexpr std::int64_t keys_per_element = 1;
  static constexpr std::int64_t weight_stride = key_block;

  static constexpr std::int64_t elements(std::int64_t head_dim) { return head_dim; }
  static constexpr bool reads_values_in_place(std::int64_t head_dim) {
    return sizeof(Stored) == sizeof(float) && head_dim == padded(head_dim);
  }

  static typename V::Vec load_elements(const Stored* row, std::int64_t first, std::int64_t count) {
    return V::load(row + first, count);
  }
  static typename V::Vec broadcast(const Element* a) { return V::set(*a); }
  static typename V::Vec multiply_add(typename V::Vec a, typename V::Vec b, typename V::Vec sum) {
    return V::multiply_add(a, b, sum);
  }
  static typename V::Vec exp2(typename V::Vec x) { return V::exp2(x); }
  static void store_weights(Element* weights, std::int64_t key, typename V::Vec a, typename V::Vec b) {
    V::store(weights + key, a);
    V::store(weights + key + V::width, b);
  }
  static void store_output(Stored* out, typename V::Vec value, std::int64_t count) {
    V::store(out, value, count);
  }

  static void pack_values(const Stored* v, std::int64_t token_stride, std::int64_t n_keys,
                          std::int64_t head_dim, float* packed) {
    const std::int64_t dim = padded(head_dim);
    for (std::int64_t key = 0; key < n_keys; ++key) {
      for (std::int64_t d = 0; d < dim; d += V::width) {
        const std::int64_t count = smaller(V::width, head_dim - d);
        V::store(packed + key * dim + d, count > 0 ? V::load(v + key * token_stride + d, count) : V::zero());
      }
    }
  }
};

}  // namespace
}  // namespace hydrajob::cpu
