// Attention of a block (attention_block.hpp), for any vector width and element type. Included by one source
// file for each instruction set, after its target pragma and after every standard header; hence the unnamed
// namespace: each includes its own copy, and none can be linked in place of another.
//
// V is a vector type (attention_vector_*.hpp). F says what the products read: *elements*, an f32 each or a
// pair of bf16. A tile is a few packed rows against key_block keys: scores, their softmax, and the weighted
// values, the last two products with all accumulators in registers. The running maximum is raised only when a
// score exceeds it by 2^8: f32 sums have the range, and most blocks of keys then need no rescaling (as
// FlashAttention-4 does).
#pragma once

#include <cstddef>
#include <cstdint>

#include "kernels/cpu/attention_block.hpp"

namespace hydrajob::cpu {
namespace {

inline constexpr float largest_weight_sum = 1024;  // of a vector lane and a block of keys
// Finite, so that sums and differences stay numbers; far below no_maximum whatever the scale.
inline constexpr float masked_score = -3e38F;

constexpr std::int64_t smaller(std::int64_t a, std::int64_t b) {
  return a < b ? a : b;
}
constexpr std::int64_t ceil_div(std::int64_t a, std::int64_t b) {
  return (a + b - 1) / b;
}

// --- products ----------------------------------------------------------------------------------------------

// Operands of a product over `n` elements: a (R, n), b (n, columns).
template <class F>
struct Product {
  const typename F::Element* a = nullptr;
  std::int64_t a_stride = 0;  // elements
  const float* b = nullptr;
  std::int64_t b_stride = 0;  // floats
  std::int64_t n = 0;
  float* out = nullptr;  // (R, columns)
  std::int64_t out_stride = 0;
};

// out = a b, or out += a b, for R rows and C vectors of columns from column `column`.
template <class F, int R, int C, bool Add>
void multiply_columns(const Product<F>& p, std::int64_t column) {
  using V = typename F::Vector;
  typename V::Vec sum[R][C];
#pragma GCC unroll 8
  for (int r = 0; r < R; ++r) {
#pragma GCC unroll 8
    for (int c = 0; c < C; ++c) {
      sum[r][c] = Add ? V::load(p.out + r * p.out_stride + column + c * V::width) : V::zero();
    }
  }
  const float* b = p.b + column;
  for (std::int64_t i = 0; i < p.n; ++i, b += p.b_stride) {
    typename V::Vec columns[C];
#pragma GCC unroll 8
    for (int c = 0; c < C; ++c) columns[c] = V::load(b + c * V::width);
#pragma GCC unroll 8
    for (int r = 0; r < R; ++r) {
      const typename V::Vec row = F::broadcast(p.a + r * p.a_stride + i);
#pragma GCC unroll 8
      for (int c = 0; c < C; ++c) sum[r][c] = F::multiply_add(row, columns[c], sum[r][c]);
    }
  }
#pragma GCC unroll 8
  for (int r = 0; r < R; ++r) {
#pragma GCC unroll 8
    for (int c = 0; c < C; ++c) V::store(p.out + r * p.out_stride + column + c * V::width, sum[r][c]);
  }
}

template <class F, int R, int C, bool Add>
void multiply_columns_of(const Product<F>& p, std::int64_t column, std::int64_t count) {
  if constexpr (C > 1) {
    if (count < C) return multiply_columns_of<F, R, C - 1, Add>(p, column, count);
  }
  multiply_columns<F, R, C, Add>(p, column);
}

// All columns, `vectors` of them, in groups as equal as can be: a last group of one would wait for its
// latency.
template <class F, int R, bool Add>
void multiply(const Product<F>& p, std::int64_t vectors) {
  constexpr int most = F::Vector::tile_columns;
  std::int64_t column = 0;
  for (std::int64_t groups = ceil_div(vectors, most); groups > 0; --groups) {
    const std::int64_t count = ceil_div(vectors, groups);
    multiply_columns_of<F, R, most, Add>(p, column, count);
    column += count * F::Vector::width;
    vectors -= count;
  }
}

// --- packing -----------------------------------------------------------------------------------------------

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

// --- element types -----------------------------------------------------------------------------------------

// f32 products of what is stored as f32 or, widened on the way, as bf16.
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

template <class F>
constexpr BlockKernels kernels_of{sizeof(typename F::Element) / F::keys_per_element, load_queries<F>,
                                  accumulate<F>, merge<F>, finish<F>};

}  // namespace
}  // namespace hydrajob::cpu
