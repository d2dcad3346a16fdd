// Products of a few rows with all accumulators in registers. See attention_tile.hpp for how and where it is
// included.
#pragma once

#include <cstddef>
#include <cstdint>

namespace hydrajob::cpu {
namespace {

constexpr std::int64_t smaller(std::int64_t a, std::int64_t b) {
  return a < b ? a : b;
}
constexpr std::int64_t ceil_div(std::int64_t a, std::int64_t b) {
  return (a + b - 1) / b;
}

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

}  // namespace
}  // namespace hydrajob::cpu
