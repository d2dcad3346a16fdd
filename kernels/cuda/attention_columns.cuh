// Attention of one warp on the tensor cores for up to eight query rows: keys and values are the left operands
// and the queries the columns, so that a single row costs half the products of a tile of sixteen.
#pragma once

#include <cstdint>

#include "kernels/cuda/attention_warp.cuh"

namespace hydrajob::cuda {

constexpr int columns = 8;
constexpr int column_keys = 16;  // of a block of keys

// A block of keys or values in a warp's shared memory, aligned to 256 bytes: where eight neighbouring rows
// would meet in the same banks, 16-byte piece c of row r stands at piece c ^ (r % 8); else rows lie apart.
template <int HEAD_DIM>
struct StagedRows {
  static constexpr bool swizzled = HEAD_DIM % 64 == 0;
  static constexpr int stride = swizzled ? HEAD_DIM : shared_stride<HEAD_DIM>;
  static constexpr int elements = column_keys * stride;

  // Bytes from the block's begin to a row's piece.
  __device__ static std::uint32_t place(int row, int piece) {
    return (row * stride + (swizzled ? piece ^ row % 8 : piece) * 8) * 2;
  }
  // The address of a piece so many after one whose number has none of their bits.
  __device__ static std::uint32_t along(std::uint32_t address, int pieces) {
    return swizzled ? address ^ (pieces * 16) : address + pieces * 16;
  }
  // The same piece so many rows below a row whose number, of eight, has none of their bits.
  __device__ static std::uint32_t below(std::uint32_t address, int rows) {
    return along(address, swizzled ? rows % 8 : 0) + rows * stride * 2;
  }
};

// Transposes an 8x8 matrix of 16-bit elements held as an operand of mma is.
__device__ inline std::uint32_t transpose_matrix(std::uint32_t a) {
  std::uint32_t b;
  asm("movmatrix.sync.aligned.m8n8.trans.b16 %0, %1;\n" : "=r"(b) : "r"(a));
  return b;
}

// A query of each column: of column lane / 4 a thread holds, of every eight dimensions, the two from
// lane % 4 * 2 on.
template <int HEAD_DIM>
struct ColumnQueries {
  std::uint32_t pairs[HEAD_DIM / 8];

  // q: (head_dim) of this thread's column, null for none: zeros.
  template <class T>
  __device__ void load(const T* q) {
#pragma unroll
    for (int d = 0; d < HEAD_DIM / 8; ++d) {
      pairs[d] = q == nullptr ? 0u : *reinterpret_cast<const std::uint32_t*>(q + d * 8 + threadIdx.x % 4 * 2);
    }
  }
};

// Of the eight columns a thread holds the two from lane % 4 * 2 on; of each sixteen keys or dimensions
// lane / 4 and lane / 4 + 8.
template <class T, int HEAD_DIM>
class ColumnAttention {
 public:
  __device__ void begin() {
#pragma unroll
    for (int d = 0; d < HEAD_DIM / 16; ++d) {
#pragma unroll
      for (int i = 0; i < 4; ++i) out_[d][i] = 0;
    }
#pragma unroll
    for (int c = 0; c < 2; ++c) {
      maximum_[c] = -INFINITY;
      sum_[c] = 0;
    }
  }

  // What a thread adds to the address of StagedRows of keys, or of values, with zeros where there is no
  // token, to give it to the products with these.
  __device__ static std::uint32_t place_of_keys() {
    return Rows::place(lane() % 16, lane() / 16);
  }
  __device__ static std::uint32_t place_of_values() {
    return Rows::place(lane() % 8 + lane() / 16 * 8, lane() / 8 % 2);
  }

  // scores: of keys lane / 4 and lane / 4 + 8, two columns each. AT_ONCE: sixteens of dimensions that are
  // loaded before any of them is multiplied, so that they wait together. `loaded` is called as soon as the
  // keys are not needed any more.
  template <int AT_ONCE, class Loaded>
  __device__ static void multiply_keys(const ColumnQueries<HEAD_DIM>& queries, std::uint32_t row,
                                       float (&scores)[4], const Loaded& loaded) {
    float halves[2][4] = {};  // two chains of products, each half as long
    in_turn<AT_ONCE>([&](std::uint32_t(&a)[4], int d) { load_matrices(a, Rows::along(row, 2 * d)); }, loaded,
                     [&](const std::uint32_t(&a)[4], int d) {
                       multiply<T>(halves[d % 2], a, queries.pairs[2 * d], queries.pairs[2 * d + 1]);
                     });
#pragma unroll
    for (int i = 0; i < 4; ++i) scores[i] = halves[0][i] + halves[1][i];
  }

  // Scores become weights. Of this thread's keys a column sees the one where seen > 0, the one after where it
  // is > 8. scale_log2: of the scores, times log2 e.
  __device__ void weigh(float (&scores)[4], const int (&seen)[2], float scale_log2) {
#pragma unroll
    for (int i = 0; i < 4; ++i) {
      if (seen[i % 2] <= i / 2 * 8) scores[i] = -INFINITY;
    }
    exponentiate(scores, scale_log2);
  }

  // As multiply_keys.
  template <int AT_ONCE, class Loaded>
  __device__ void multiply_values(std::uint32_t row, const float (&weights)[4], const Loaded& loaded) {
    const std::uint32_t b0 = transpose_matrix(paired<T>(weights[0], weights[1]));
    const std::uint32_t b1 = transpose_matrix(paired<T>(weights[2], weights[3]));
    in_turn<AT_ONCE>(
        [&](std::uint32_t(&a)[4], int d) { load_matrices_transposed(a, Rows::along(row, 2 * d)); }, loaded,
        [&](const std::uint32_t(&a)[4], int d) { multiply<T>(out_[d], a, b0, b1); });
  }

  // Of the scores before scaling.
  __device__ float maximum(int c) const {
    return maximum_[c];
  }
  // Of the whole column, in each of its eight threads.
  __device__ float column_sum(int c) const {
    return over_keys(sum_[c], [](float a, float b) { return a + b; });
  }
  // Dimension d * 16 + lane / 4 + i * 8 of this thread's column c, not yet divided by the sum.
  __device__ float out(int d, int i, int c) const {
    return out_[d][2 * i + c];
  }

 private:
  using Rows = StagedRows<HEAD_DIM>;

  __device__ static int lane() {
    return threadIdx.x % 32;
  }

  // load(a, d), then use(a, d), for the head's sixteens of dimensions, AT_ONCE of them at a time.
  template <int AT_ONCE, class Load, class Loaded, class Use>
  __device__ static void in_turn(const Load& load, const Loaded& loaded, const Use& use) {
    constexpr int all = HEAD_DIM / 16;
#pragma unroll
    for (int first = 0; first < all; first += AT_ONCE) {
      std::uint32_t a[AT_ONCE][4];
#pragma unroll
      for (int i = 0; i < AT_ONCE && first + i < all; ++i) load(a[i], first + i);
      if (first + AT_ONCE >= all) loaded();
#pragma unroll
      for (int i = 0; i < AT_ONCE && first + i < all; ++i) use(a[i], first + i);
    }
  }

  template <class Op>
  __device__ static float over_keys(float x, Op op) {
#pragma unroll
    for (int offset = 4; offset < 32; offset *= 2) x = op(x, __shfl_xor_sync(0xffffffffu, x, offset));
    return x;
  }

  __device__ void exponentiate(float (&scores)[4], float scale_log2) {
    // Where no column's maximum is exceeded, as in most blocks of long items, there is nothing to scale, nor
    // to agree on.
    const bool exceeds =
        fmaxf(scores[0], scores[2]) > maximum_[0] || fmaxf(scores[1], scores[3]) > maximum_[1];
    if (__any_sync(0xffffffffu, exceeds)) raise_maximum(scores, scale_log2);
#pragma unroll
    for (int c = 0; c < 2; ++c) {
      const float origin = maximum_[c] == -INFINITY ? 0.0f : maximum_[c] * scale_log2;
      scores[c] = power_of_2(scores[c] * scale_log2 - origin);
      scores[c + 2] = power_of_2(scores[c + 2] * scale_log2 - origin);
      sum_[c] += scores[c] + scores[c + 2];
    }
  }

  __device__ void raise_maximum(const float (&scores)[4], float scale_log2) {
    float keep[2];
#pragma unroll
    for (int c = 0; c < 2; ++c) {
      const float largest = fmaxf(maximum_[c], over_keys(fmaxf(scores[c], scores[c + 2]),
                                                         [](float a, float b) { return fmaxf(a, b); }));
      const float origin = largest == -INFINITY ? 0.0f : largest * scale_log2;
      keep[c] = power_of_2(maximum_[c] * scale_log2 - origin);
      maximum_[c] = largest;
      sum_[c] *= keep[c];
    }
#pragma unroll
    for (int d = 0; d < HEAD_DIM / 16; ++d) {
#pragma unroll
      for (int i = 0; i < 4; ++i) out_[d][i] *= keep[i % 2];
    }
  }

  float out_[HEAD_DIM / 16][4];
  float maximum_[2];
  float sum_[2];  // of this thread's keys
};

}  // namespace hydrajob::cuda
