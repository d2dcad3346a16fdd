// Attention of a block (attention_block.hpp), for any vector width and element type. Included by one source
// file for each instruction set, after its target pragma and after every standard header; hence the unnamed
// namespace: each includes its own copy, and none can be linked in place of another.
//
// V is a vector type (attention_vector_*.hpp). F says what the products read: *elements*, an f32 each
// (attention_f32.hpp) or a pair of bf16. A tile is a few packed rows against key_block keys: scores, their
// softmax, and the weighted values. The running maximum is raised only when weights exceed it about a
// thousandfold: f32 sums have the range, so most blocks of keys need neither a maximum nor rescaling
// (FlashAttention-4 skips the rescaling alike).
#pragma once

#include <cstddef>
#include <cstdint>

#include "kernels/cpu/attention_block.hpp"
#include "kernels/cpu/attention_pack.hpp"
#include "kernels/cpu/attention_product.hpp"

namespace hydrajob::cpu {
namespace {

inline constexpr float largest_weight_sum = 1024;  // of a vector lane and a block of keys
// Finite, so that sums and differences stay numbers; far below no_maximum whatever the scale.
inline constexpr float masked_score = -3e38F;

// --- softmax -----------------------------------------------------------------------------------------------

// The rows of one tile.
template <class F>
struct Tile {
  const typename F::Element* queries = nullptr;  // (R, elements of head_dim)
  std::int64_t elements = 0;                     // of head_dim
  std::int64_t padded_dim = 0;
  RunningSoftmax softmax;
  float* scores = nullptr;     // (R, key_block)
  float* lane_sums = nullptr;  // (R, float_pad)
  typename F::Element* weights = nullptr;
};

// Raises one row's maximum to that of its new scores, if it is more.
template <class F>
[[gnu::noinline]] void raise_maximum(const Tile<F>& tile, int row, std::int64_t vectors, float scale) {
  using V = typename F::Vector;
  const float* scores = tile.scores + row * key_block;
  auto largest = V::load(scores);
  for (std::int64_t i = 1; i < vectors; ++i) largest = V::max(largest, V::load(scores + i * V::width));
  const float maximum = V::largest(largest) * scale;
  float& old = tile.softmax.maximum[row];
  if (maximum <= old) return;
  if (old != no_maximum) {
    const auto factor = V::exp2(V::set(old - maximum));
    float* output = tile.softmax.output + row * tile.padded_dim;
    for (std::int64_t d = 0; d < tile.padded_dim; d += V::width) {
      V::store(output + d, V::multiply(V::load(output + d), factor));
    }
    float* sums = tile.lane_sums + row * float_pad;
    V::store(sums, V::multiply(V::load(sums), factor));
    tile.softmax.sum[row] *= V::first(factor);
  }
  old = maximum;
}

// One row's weights = 2^(scores - maximum), as elements of keys. Returns their sums by lane. N: of vectors,
// if known.
template <class F, int N>
auto weigh_row(const Tile<F>& tile, int row, std::int64_t vectors, float scale) {
  using V = typename F::Vector;
  const std::int64_t n = N > 0 ? N : vectors;
  const float* scores = tile.scores + row * key_block;
  typename F::Element* weights = tile.weights + row * F::weight_stride;
  const auto factor = V::set(scale);
  const auto maximum = V::set(tile.softmax.maximum[row]);
  auto sum = V::zero();
#pragma GCC unroll 4
  for (std::int64_t i = 0; i < n; i += 2) {
    const auto a = F::exp2(V::multiply_subtract(V::load(scores + i * V::width), factor, maximum));
    const auto b = F::exp2(V::multiply_subtract(V::load(scores + (i + 1) * V::width), factor, maximum));
    sum = V::add(sum, V::add(a, b));
    F::store_weights(weights, i * V::width, a, b);
  }
  return sum;
}

// Whether nothing has been added to any row yet: the product with values then need not add to what is there.
// Where that is so of some rows only, theirs are set to 0.
template <class F, int R>
bool is_fresh(const Tile<F>& tile) {
  int fresh = 0;
  for (int r = 0; r < R; ++r) fresh += tile.softmax.maximum[r] == no_maximum ? 1 : 0;
  if (fresh == 0 || fresh == R) return fresh == R;
  for (int r = 0; r < R; ++r) {
    if (tile.softmax.maximum[r] != no_maximum) continue;
    for (std::int64_t d = 0; d < tile.padded_dim; ++d) tile.softmax.output[r * tile.padded_dim + d] = 0;
  }
  return false;
}

// Weights of all rows. The maximum is looked for only where the weights show that it has risen far.
template <class F, int R, int N>
void weigh(const Tile<F>& tile, std::int64_t vectors, float scale) {
  using V = typename F::Vector;
  for (int r = 0; r < R; ++r) {
    if (tile.softmax.maximum[r] == no_maximum) raise_maximum(tile, r, vectors, scale);
    auto sum = weigh_row<F, N>(tile, r, vectors, scale);
    if (V::any_greater(sum, V::set(largest_weight_sum))) {
      raise_maximum(tile, r, vectors, scale);
      sum = weigh_row<F, N>(tile, r, vectors, scale);
    }
    float* lane_sums = tile.lane_sums + r * float_pad;
    V::store(lane_sums, V::add(V::load(lane_sums), sum));
  }
}

// Keys of this block that row `row` of the tile sees: the first limit + row / group.
struct TileLimit {
  std::int64_t first = 0;  // packed row of the block that the tile begins with
  std::int64_t group = 0;
  std::int64_t limit = 0;  // of the block's first packed row, counted from this block of keys
  bool causal = false;

  std::int64_t of(std::int64_t row, std::int64_t n_keys) const {
    return causal ? smaller(n_keys, limit + (first + row) / group) : n_keys;
  }
};

// Takes the scores of keys that a row does not see out of its softmax. `scores`: of whole vectors, twice.
template <int R>
void mask(float* scores, const TileLimit& limit, std::int64_t n_keys, std::int64_t columns) {
  for (int r = 0; r < R; ++r) {
    const std::int64_t seen = limit.of(r, n_keys);
    for (std::int64_t c = seen < 0 ? 0 : seen; c < columns; ++c) scores[r * key_block + c] = masked_score;
  }
}

template <class F, int R>
void attend_tile(const Tile<F>& tile, const PackedKeys<F>& keys, const TileLimit& limit, float scale,
                 Ahead<F>& ahead) {
  using V = typename F::Vector;
  const std::int64_t vectors = ceil_div(keys.n_keys, 2 * V::width) * 2;
  const std::int64_t columns = vectors * V::width;
  ahead.step();
  multiply<F, R, false>(
      {tile.queries, tile.elements, keys.keys, key_block, tile.elements, tile.scores, key_block},
      ceil_div(keys.n_keys, V::width));
  if (limit.of(0, keys.n_keys) < columns) mask<R>(tile.scores, limit, keys.n_keys, columns);
  const bool fresh = is_fresh<F, R>(tile);
  if (columns == key_block) {
    weigh<F, R, key_block / V::width>(tile, vectors, scale);
  } else {
    weigh<F, R, 0>(tile, vectors, scale);
  }
  ahead.step();
  const Product<F> sums{tile.weights,
                        F::weight_stride,
                        keys.values,
                        keys.value_stride,
                        ceil_div(keys.n_keys, F::keys_per_element),
                        tile.softmax.output,
                        tile.padded_dim};
  if (fresh) {
    multiply<F, R, false>(sums, tile.padded_dim / V::width);
  } else {
    multiply<F, R, true>(sums, tile.padded_dim / V::width);
  }
}

// --- a block -----------------------------------------------------------------------------------------------

// Rows of the next tile: full ones, then two of half the rest.
template <class F>
std::int64_t tile_rows(std::int64_t left) {
  constexpr std::int64_t most = F::Vector::tile_rows;
  if (left >= 2 * most) return most;
  return left > most ? (left + 1) / 2 : left;
}

template <class F, int R>
void attend_rows(std::int64_t rows, const Tile<F>& tile, const PackedKeys<F>& keys, const TileLimit& limit,
                 float scale, Ahead<F>& ahead) {
  if constexpr (R > 1) {
    if (rows < R) return attend_rows<F, R - 1>(rows, tile, keys, limit, scale, ahead);
  }
  attend_tile<F, R>(tile, keys, limit, scale, ahead);
}

template <class F>
Tile<F> tile_of(const BlockRows& rows, std::int64_t first, const RunningSoftmax& softmax,
                const BlockScratch& scratch) {
  using Element = typename F::Element;
  const std::int64_t dim = padded(rows.head_dim);
  const std::int64_t elements = F::elements(rows.head_dim);
  return {static_cast<const Element*>(scratch.queries) + first * elements,
          elements,
          dim,
          {softmax.maximum + first, softmax.sum + first, softmax.output + first * dim},
          scratch.scores,
          scratch.lane_sums + first * float_pad,
          static_cast<Element*>(scratch.weights)};
}

// All rows against one block of keys.
template <class F>
void attend_block(const BlockRows& rows, const BlockKeys& keys, std::int64_t first_key, std::int64_t n_seen,
                  float scale, const RunningSoftmax& softmax, const BlockScratch& scratch) {
  using V = typename F::Vector;
  const std::int64_t n_keys = smaller(key_block, n_seen - first_key);
  const std::int64_t next = first_key + n_keys;
  Ahead<F> ahead(keys, rows.head_dim, next, smaller(next + key_block, n_seen),
                 pack_steps + 2 * ceil_div(rows.n_packed, V::tile_rows));
  const auto packed = pack_block<F>(keys, first_key, n_keys, rows.head_dim, scratch, ahead);
  for (std::int64_t row = 0; row < rows.n_packed;) {
    const std::int64_t count = tile_rows<F>(rows.n_packed - row);
    const TileLimit limit{row, rows.group, keys.first_limit - first_key, keys.causal};
    if (limit.of(count - 1, n_keys) > 0) {
      attend_rows<F, V::tile_rows>(count, tile_of<F>(rows, row, softmax, scratch), packed, limit, scale,
                                   ahead);
    }
    row += count;
  }
}

template <class F>
void accumulate(const BlockRows& rows, const BlockKeys& keys, float scale, const RunningSoftmax& softmax,
                const BlockScratch& scratch) {
  using V = typename F::Vector;
  const std::int64_t last_limit = keys.first_limit + (rows.n_packed - 1) / rows.group;
  const std::int64_t n_seen = keys.causal ? smaller(keys.n_keys, last_limit) : keys.n_keys;
  Ahead<F>(keys, rows.head_dim, 0, smaller(key_block, n_seen), 1).step();
  for (std::int64_t i = 0; i < rows.n_packed * float_pad; ++i) scratch.lane_sums[i] = 0;
  for (std::int64_t first_key = 0; first_key < n_seen; first_key += key_block) {
    attend_block<F>(rows, keys, first_key, n_seen, scale, softmax, scratch);
  }
  for (std::int64_t r = 0; r < rows.n_packed; ++r) {
    softmax.sum[r] += V::sum(V::load(scratch.lane_sums + r * float_pad));
  }
}

template <class F>
void load_queries(const BlockRows& rows, const void* q, const BlockScratch& scratch) {
  using V = typename F::Vector;
  const std::int64_t elements = F::elements(rows.head_dim);
  auto* target = static_cast<float*>(scratch.queries);
  for (std::int64_t p = 0; p < rows.n_packed; ++p) {
    const auto* source = static_cast<const typename F::Stored*>(q) + p / rows.group * rows.row_stride +
                         p % rows.group * rows.head_dim;
    for (std::int64_t e = 0; e < elements; e += V::width) {
      const std::int64_t count = smaller(V::width, elements - e);
      V::store(target + p * elements + e, F::load_elements(source, e, count), count);
    }
  }
}

// --- merging -----------------------------------------------------------------------------------------------

// The two parts' maxima and sums become one. factors: (2, padded(n_packed)) by what each part's output is to
// be multiplied. Reads the arrays in whole vectors, but writes the block's rows alone: others may follow
// them.
template <class V>
void merge_sums(std::int64_t n_packed, const RunningSoftmax& part, const RunningSoftmax& into,
                float* factors) {
  for (std::int64_t r = 0; r < n_packed; r += V::width) {
    const auto part_maximum = V::load(part.maximum + r);
    const auto into_maximum = V::load(into.maximum + r);
    const auto maximum = V::max(part_maximum, into_maximum);
    const auto part_weight = V::exp2(V::subtract(part_maximum, maximum));
    const auto into_weight = V::exp2(V::subtract(into_maximum, maximum));
    const auto sum =
        V::multiply_add(V::load(part.sum + r), part_weight, V::multiply(V::load(into.sum + r), into_weight));
    V::store(factors + r, part_weight);
    V::store(factors + padded(n_packed) + r, into_weight);
    float maxima[V::width];
    float sums[V::width];
    V::store(maxima, maximum);
    V::store(sums, sum);
    for (std::int64_t i = 0; i < smaller(V::width, n_packed - r); ++i) {
      into.maximum[r + i] = maxima[i];
      into.sum[r + i] = sums[i];
    }
  }
}

template <class F>
void merge(const BlockRows& rows, const RunningSoftmax& part, const RunningSoftmax& into,
           const BlockScratch& scratch) {
  using V = typename F::Vector;
  const std::int64_t dim = padded(rows.head_dim);
  const float* part_factor = scratch.factors;
  const float* into_factor = scratch.factors + padded(rows.n_packed);
  merge_sums<V>(rows.n_packed, part, into, scratch.factors);
  for (std::int64_t r = 0; r < rows.n_packed; ++r) {
    if (part.sum[r] == 0) continue;
    const bool alone = into_factor[r] == 0;
    const auto a = V::set(part_factor[r]);
    const auto b = V::set(into_factor[r]);
    const float* source = part.output + r * dim;
    float* target = into.output + r * dim;
    for (std::int64_t d = 0; d < dim; d += V::width) {
      const auto before = alone ? V::zero() : V::multiply(V::load(target + d), b);
      V::store(target + d, V::multiply_add(V::load(source + d), a, before));
    }
  }
}

template <class F>
void finish(const BlockRows& rows, const RunningSoftmax& softmax, void* out) {
  using V = typename F::Vector;
  const std::int64_t dim = padded(rows.head_dim);
  for (std::int64_t p = 0; p < rows.n_packed; ++p) {
    auto* target = static_cast<typename F::Stored*>(out) + p / rows.group * rows.row_stride +
                   p % rows.group * rows.head_dim;
    const bool empty = softmax.sum[p] == 0;
    const auto factor = V::set(1 / softmax.sum[p]);
    for (std::int64_t d = 0; d < rows.head_dim; d += V::width) {
      const auto value = empty ? V::zero() : V::multiply(V::load(softmax.output + p * dim + d), factor);
      F::store_output(target + d, value, smaller(V::width, rows.head_dim - d));
    }
  }
}

template <class F>
constexpr BlockKernels kernels_of{sizeof(typename F::Element) / F::keys_per_element, load_queries<F>,
                                  accumulate<F>, merge<F>, finish<F>};

}  // namespace
}  // namespace hydrajob::cpu
