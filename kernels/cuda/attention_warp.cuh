// Attention of one warp on the tensor cores: a few query rows against keys in shared memory, block after
// block, with a running softmax (FlashAttention-2, arXiv 2307.08691).
#pragma once

#include "kernels/cuda/tensor_core.cuh"

namespace hydrajob::cuda {

__device__ inline float power_of_2(float x) {
  float y;
  asm("ex2.approx.ftz.f32 %0, %1;\n" : "=f"(y) : "f"(x));
  return y;
}

// Rows of shared memory lie this many elements apart: eight neighbours are then in different banks.
template <int HEAD_DIM>
constexpr int shared_stride = HEAD_DIM + 8;

// 16 * M rows; KEYS keys a step. Of each 16 rows a thread holds rows lane / 4 and lane / 4 + 8, of each 8
// columns the two from lane % 4 * 2 on.
template <class T, int HEAD_DIM, int M, int KEYS>
struct WarpAttention {
  static constexpr int stride = shared_stride<HEAD_DIM>;

  float out[M][HEAD_DIM / 8][4] = {};  // not yet divided by the sum
  float maximum[M][2];                 // of the scores before scaling, -inf while nothing was seen
  float sum[M][2] = {};                // of this thread's columns

  __device__ WarpAttention() {
#pragma unroll
    for (int m = 0; m < M; ++m) maximum[m][0] = maximum[m][1] = -INFINITY;
  }

  // q: (16 M, stride), k and v: (KEYS, stride) in shared memory. Key i is seen by rows whose limit is above
  // first_key + i. scale_log2: of the scores, times log2 e.
  __device__ void step(const T* q, const T* k, const T* v, int first_key, const int (&limit)[M][2],
                       float scale_log2) {
    float scores[M][KEYS / 8][4] = {};
    multiply_keys(q, k, scores);
    mask(first_key, limit, scores);
#pragma unroll
    for (int m = 0; m < M; ++m) {
      exponentiate(m, 0, scores[m], scale_log2);
      exponentiate(m, 1, scores[m], scale_log2);
    }
    multiply_values(v, scores);
  }

  // The whole row's sum, in each of its four threads.
  __device__ float row_sum(int m, int half) const {
    float s = sum[m][half];
    s += __shfl_xor_sync(0xffffffffu, s, 1);
    return s + __shfl_xor_sync(0xffffffffu, s, 2);
  }

 private:
  __device__ static int lane() {
    return threadIdx.x % 32;
  }

  __device__ void multiply_keys(const T* q, const T* k, float (&scores)[M][KEYS / 8][4]) {
    const T* q_row = q + lane() % 16 * stride + lane() / 16 * 8;
    const T* k_row = k + (lane() / 16 * 8 + lane() % 8) * stride + lane() / 8 % 2 * 8;
#pragma unroll
    for (int d = 0; d < HEAD_DIM; d += 16) {
      std::uint32_t a[M][4];
#pragma unroll
      for (int m = 0; m < M; ++m) load_matrices(a[m], q_row + m * 16 * stride + d);
#pragma unroll
      for (int n = 0; n < KEYS / 16; ++n) {
        std::uint32_t b[4];
        load_matrices(b, k_row + n * 16 * stride + d);
#pragma unroll
        for (int m = 0; m < M; ++m) {
          multiply<T>(scores[m][2 * n], a[m], b[0], b[1]);
          multiply<T>(scores[m][2 * n + 1], a[m], b[2], b[3]);
        }
      }
    }
  }

  __device__ void mask(int first_key, const int (&limit)[M][2], float (&scores)[M][KEYS / 8][4]) {
    const int column = first_key + lane() % 4 * 2;
#pragma unroll
    for (int m = 0; m < M; ++m) {
      if (first_key + KEYS <= min(limit[m][0], limit[m][1])) continue;
#pragma unroll
      for (int n = 0; n < KEYS / 8; ++n) {
#pragma unroll
        for (int i = 0; i < 4; ++i) {
          if (column + n * 8 + i % 2 >= limit[m][i / 2]) scores[m][n][i] = -INFINITY;
        }
      }
    }
  }

  // Scores of the row become weights; what was gathered before is scaled to the new maximum.
  __device__ void exponentiate(int m, int half, float (&scores)[KEYS / 8][4], float scale_log2) {
    float largest = maximum[m][half];
#pragma unroll
    for (int n = 0; n < KEYS / 8; ++n) {
      largest = fmaxf(largest, fmaxf(scores[n][2 * half], scores[n][2 * half + 1]));
    }
    largest = fmaxf(largest, __shfl_xor_sync(0xffffffffu, largest, 1));
    largest = fmaxf(largest, __shfl_xor_sync(0xffffffffu, largest, 2));
    const float origin = largest == -INFINITY ? 0.0f : largest * scale_log2;
    const float keep = power_of_2(maximum[m][half] * scale_log2 - origin);
    maximum[m][half] = largest;
    float added = 0;
#pragma unroll
    for (int n = 0; n < KEYS / 8; ++n) {
#pragma unroll
      for (int i = 2 * half; i < 2 * half + 2; ++i) {
        scores[n][i] = power_of_2(scores[n][i] * scale_log2 - origin);
        added += scores[n][i];
      }
    }
    sum[m][half] = sum[m][half] * keep + added;
#pragma unroll
    for (int d = 0; d < HEAD_DIM / 8; ++d) {
      out[m][d][2 * half] *= keep;
      out[m][d][2 * half + 1] *= keep;
    }
  }

  __device__ void multiply_values(const T* v, const float (&weights)[M][KEYS / 8][4]) {
    const T* v_row = v + lane() % 16 * stride + lane() / 16 * 8;
#pragma unroll
    for (int n = 0; n < KEYS / 16; ++n) {
      std::uint32_t a[M][4];
#pragma unroll
      for (int m = 0; m < M; ++m) {
        const float(&low)[4] = weights[m][2 * n], (&high)[4] = weights[m][2 * n + 1];
        a[m][0] = paired<T>(low[0], low[1]);
        a[m][1] = paired<T>(low[2], low[3]);
        a[m][2] = paired<T>(high[0], high[1]);
        a[m][3] = paired<T>(high[2], high[3]);
      }
#pragma unroll
      for (int d = 0; d < HEAD_DIM / 16; ++d) {
        std::uint32_t b[4];
        load_matrices_transposed(b, v_row + n * 16 * stride + d * 16);
#pragma unroll
        for (int m = 0; m < M; ++m) {
          multiply<T>(out[m][2 * d], a[m], b[0], b[1]);
          multiply<T>(out[m][2 * d + 1], a[m], b[2], b[3]);
        }
      }
    }
  }
};

// Rows [0, rows) of `source`, `apart` elements from one to the next, into shared memory; those from `there`
// on become zeros. All threads of the block; asynchronous.
template <int HEAD_DIM, class T>
__device__ inline void copy_rows(T* target, const T* source, std::int64_t apart, int rows, int there) {
  constexpr int pieces = HEAD_DIM / 8;
  for (int i = threadIdx.x; i < rows * pieces; i += blockDim.x) {
    const int row = i / pieces, piece = i % pieces;
    // Not there: any valid address.
    const T* from = source + (row < there ? row * apart + piece * 8 : 0);
    copy_16(target + row * shared_stride<HEAD_DIM> + piece * 8, from, row < there);
  }
}

}  // namespace hydrajob::cuda
