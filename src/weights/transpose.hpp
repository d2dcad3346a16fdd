// Transposing a part of a matrix.
#pragma once

#include <algorithm>
#include <array>
#include <cstddef>
#include <cstdint>
#include <cstring>

namespace hydrajob::weights {

template <class T>
struct SmallSquare {
  static constexpr std::size_t size = 16 / sizeof(T);  // rows and columns
  typedef T Row __attribute__((vector_size(16)));      // GCC refuses it as a using

  Row rows[size];  // an array's parameter would lose the attribute

  // Rows of the first half alternate with those of the second, element by element: so many times as the size
  // is doubled from 1, and rows are columns.
  void transpose() {
    for (std::size_t n = 1; n < size; n *= 2) {
      Row in[size];
      std::copy_n(rows, size, in);
      for (std::size_t i = 0; i < size / 2; ++i) {
        const Row a = in[i], b = in[i + size / 2];
        if constexpr (size == 8) {
          rows[2 * i] = __builtin_shufflevector(a, b, 0, 8, 1, 9, 2, 10, 3, 11);
          rows[2 * i + 1] = __builtin_shufflevector(a, b, 4, 12, 5, 13, 6, 14, 7, 15);
        } else {
          rows[2 * i] = __builtin_shufflevector(a, b, 0, 4, 1, 5);
          rows[2 * i + 1] = __builtin_shufflevector(a, b, 2, 6, 3, 7);
        }
      }
    }
  }
};

// (n_rows, n_cols) at `to`, whose rows are `to_stride` elements apart, become the transpose of (n_cols,
// n_rows) at `from`. T: 16 or 32 bits.
template <class T>
void transpose_block(const T* from, std::int64_t from_stride, std::int64_t n_rows, std::int64_t n_cols, T* to,
                     std::int64_t to_stride) {
  constexpr auto size = static_cast<std::int64_t>(SmallSquare<T>::size);
  SmallSquare<T> square;
  for (std::int64_t r = 0; r < n_rows; r += size) {
    for (std::int64_t c = 0; c < n_cols; c += size) {
      const std::int64_t rows = std::min(size, n_rows - r), cols = std::min(size, n_cols - c);
      if (rows < size || cols < size) {  // at the edge
        for (std::int64_t i = 0; i < rows * cols; ++i)
          to[(r + i / cols) * to_stride + c + i % cols] = from[(c + i % cols) * from_stride + r + i / cols];
        continue;
      }
      for (std::int64_t i = 0; i < size; ++i)
        std::memcpy(&square.rows[static_cast<std::size_t>(i)], from + (c + i) * from_stride + r, 16);
      square.transpose();
      for (std::int64_t i = 0; i < size; ++i)
        std::memcpy(to + (r + i) * to_stride + c, &square.rows[static_cast<std::size_t>(i)], 16);
    }
  }
}

// The same for matrices larger than a cache: by way of a small buffer, since the lines of one column of a
// tensor whose rows are a power of two long push each other out.
template <class T>
void transpose(const T* from, std::int64_t from_stride, std::int64_t n_rows, std::int64_t n_cols, T* to) {
  constexpr std::int64_t block = 64;
  alignas(64) std::array<T, block * block> tile;
  for (std::int64_t r = 0; r < n_rows; r += block) {
    for (std::int64_t c = 0; c < n_cols; c += block) {
      const std::int64_t rows = std::min(block, n_rows - r), cols = std::min(block, n_cols - c);
      for (std::int64_t i = 0; i < cols; ++i)
        std::copy_n(from + (c + i) * from_stride + r, rows, tile.data() + i * block);
      transpose_block<T>(tile.data(), block, rows, cols, to + r * n_cols + c, n_cols);
    }
  }
}

}  // namespace hydrajob::weights
