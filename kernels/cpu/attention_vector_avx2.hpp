// Eight floats in an AVX2 register. See attention_tile.hpp for how and where it is included.
#pragma once

#include <cstdint>
#include <immintrin.h>

#include "base/bf16.hpp"
#include "base/f16.hpp"

namespace hydrajob::cpu {
namespace {

// Counts of elements are those of whole vectors: head_dim is a multiple of 8.
struct Avx2 {
  using Vec = __m256;
  static constexpr int width = 8;
  // 12 accumulators, 2 columns and one row of 16 registers.
  static constexpr int tile_rows = 6;
  static constexpr int tile_columns = 2;

  static Vec zero() { return _mm256_setzero_ps(); }
  static Vec set(float x) { return _mm256_set1_ps(x); }
  static Vec load(const float* p) { return _mm256_loadu_ps(p); }
  static Vec load(const float* p, std::int64_t) { return _mm256_loadu_ps(p); }
  static Vec load(const Bf16* p, std::int64_t) {
    const __m128i bits = _mm_loadu_si128(reinterpret_cast<const __m128i*>(p));
    return _mm256_castsi256_ps(_mm256_slli_epi32(_mm256_cvtepu16_epi32(bits), 16));
  }
  static Vec load(const F16* p, std::int64_t) {
    return _mm256_cvtph_ps(_mm_loadu_si128(reinterpret_cast<const __m128i*>(p)));
  }
  static void store(float* p, Vec x) { _mm256_storeu_ps(p, x); }
  static void store(float* p, Vec x, std::int64_t) { _mm256_storeu_ps(p, x); }
  // Rounds to nearest even, as the next does.
  static void store(Bf16* p, Vec x, std::int64_t) {
    const __m256i bits = _mm256_castps_si256(x);
    const __m256i odd = _mm256_and_si256(_mm256_srli_epi32(bits, 16), _mm256_set1_epi32(1));
    const __m256i rounded = _mm256_add_epi32(bits, _mm256_add_epi32(odd, _mm256_set1_epi32(0x7fff)));
    const __m256i quiet = _mm256_or_si256(bits, _mm256_set1_epi32(0x400000));
    const __m256 nan = _mm256_cmp_ps(x, x, _CMP_UNORD_Q);
    const __m256i kept =
        _mm256_castps_si256(_mm256_blendv_ps(_mm256_castsi256_ps(rounded), _mm256_castsi256_ps(quiet), nan));
    const __m256i high = _mm256_srli_epi32(kept, 16);
    const __m128i packed = _mm_packus_epi32(_mm256_castsi256_si128(high), _mm256_extracti128_si256(high, 1));
    _mm_storeu_si128(reinterpret_cast<__m128i*>(p), packed);
  }
  static void store(F16* p, Vec x, std::int64_t) {
    const __m128i halves = _mm256_cvtps_ph(x, _MM_FROUND_TO_NEAREST_INT | _MM_FROUND_NO_EXC);
    _mm_storeu_si128(reinterpret_cast<__m128i*>(p), halves);
  }

  static Vec add(Vec a, Vec b) { return _mm256_add_ps(a, b); }
  static Vec subtract(Vec a, Vec b) { return _mm256_sub_ps(a, b); }
  static Vec multiply(Vec a, Vec b) { return _mm256_mul_ps(a, b); }
  static Vec multiply_add(Vec a, Vec b, Vec c) { return _mm256_fmadd_ps(a, b, c); }
  static Vec multiply_subtract(Vec a, Vec b, Vec c) { return _mm256_fmsub_ps(a, b, c); }
  static Vec max(Vec a, Vec b) { return _mm256_max_ps(a, b); }
  static bool any_greater(Vec a, Vec b) { return _mm256_movemask_ps(_mm256_cmp_ps(a, b, _CMP_GT_OQ)) != 0; }
  static float sum(Vec x) {
    const __m128 four = _mm_add_ps(_mm256_castps256_ps128(x), _mm256_extractf128_ps(x, 1));
    const __m128 two = _mm_add_ps(four, _mm_movehl_ps(four, four));
    return _mm_cvtss_f32(_mm_add_ss(two, _mm_shuffle_ps(two, two, 1)));
  }
  static float largest(Vec x) {
    const __m128 four = _mm_max_ps(_mm256_castps256_ps128(x), _mm256_extractf128_ps(x, 1));
    const __m128 two = _mm_max_ps(four, _mm_movehl_ps(four, four));
    return _mm_cvtss_f32(_mm_max_ss(two, _mm_shuffle_ps(two, two, 1)));
  }
  static float first(Vec x) { return _mm256_cvtss_f32(x); }

  // 2^x to 2 units in the last place; 0 below -126, at most 2^127. Minimax over [-1/2, 1/2].
  static Vec exp2(Vec x) {
    const Vec bounded = _mm256_min_ps(set(127), max(set(-126), x));  // operands in this order: NaN stays NaN
    const Vec whole = _mm256_round_ps(bounded, _MM_FROUND_TO_NEAREST_INT | _MM_FROUND_NO_EXC);
    const Vec f = subtract(bounded, whole);
    Vec p = multiply_add(set(0.0001534581242594868F), f, set(0.0013399930903688073F));
    p = multiply_add(p, f, set(0.009618489071726799F));
    p = multiply_add(p, f, set(0.05550328642129898F));
    p = multiply_add(p, f, set(0.24022646248340607F));
    p = multiply_add(p, f, set(0.6931471824645996F));
    p = multiply_add(p, f, set(1));
    const __m256i exponent =
        _mm256_slli_epi32(_mm256_add_epi32(_mm256_cvtps_epi32(whole), _mm256_set1_epi32(127)), 23);
    const Vec vanishes = _mm256_cmp_ps(x, set(-126), _CMP_LT_OQ);
    return _mm256_andnot_ps(vanishes, multiply(p, _mm256_castsi256_ps(exponent)));
  }

  static void transpose(Vec (&x)[8]) {
    Vec t[8];
#pragma GCC unroll 8
    for (int i = 0; i < 8; i += 2) {
      t[i] = _mm256_unpacklo_ps(x[i], x[i + 1]);
      t[i + 1] = _mm256_unpackhi_ps(x[i], x[i + 1]);
    }
    // x[4 i + j]: column j of each 128-bit lane, rows 4 i to 4 i + 3.
#pragma GCC unroll 2
    for (int i = 0; i < 8; i += 4) {
      x[i] = _mm256_shuffle_ps(t[i], t[i + 2], 0x44);
      x[i + 1] = _mm256_shuffle_ps(t[i], t[i + 2], 0xee);
      x[i + 2] = _mm256_shuffle_ps(t[i + 1], t[i + 3], 0x44);
      x[i + 3] = _mm256_shuffle_ps(t[i + 1], t[i + 3], 0xee);
    }
#pragma GCC unroll 4
    for (int j = 0; j < 4; ++j) {
      t[j] = _mm256_permute2f128_ps(x[j], x[4 + j], 0x20);
      t[4 + j] = _mm256_permute2f128_ps(x[j], x[4 + j], 0x31);
    }
#pragma GCC unroll 8
    for (int j = 0; j < 8; ++j) x[j] = t[j];
  }
};

}  // namespace
}  // namespace hydrajob::cpu
