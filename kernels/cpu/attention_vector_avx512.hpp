// Sixteen floats in an AVX-512 register. See attention_tile.hpp for how and where it is included.
#pragma once

#include <cstdint>
#include <immintrin.h>

#include "base/bf16.hpp"
#include "base/f16.hpp"

namespace hydrajob::cpu {
namespace {

struct Avx512 {
  using Vec = __m512;
  static constexpr int width = 16;
  // 24 accumulators, 4 columns and one row of 32 registers.
  static constexpr int tile_rows = 6;
  static constexpr int tile_columns = 4;

  static __mmask16 first_lanes(std::int64_t n) { return static_cast<__mmask16>((1U << n) - 1); }

  static Vec zero() { return _mm512_setzero_ps(); }
  static Vec set(float x) { return _mm512_set1_ps(x); }
  static Vec load(const float* p) { return _mm512_loadu_ps(p); }
  static Vec load(const float* p, std::int64_t n) { return _mm512_maskz_loadu_ps(first_lanes(n), p); }
  static Vec load(const Bf16* p, std::int64_t n) {
    const __m512i bits = _mm512_cvtepu16_epi32(_mm256_maskz_loadu_epi16(first_lanes(n), p));
    return _mm512_castsi512_ps(_mm512_slli_epi32(bits, 16));
  }
  static Vec load(const F16* p, std::int64_t n) {
    return _mm512_cvtph_ps(_mm256_maskz_loadu_epi16(first_lanes(n), p));
  }
  static void store(float* p, Vec x) { _mm512_storeu_ps(p, x); }
  static void store(float* p, Vec x, std::int64_t n) { _mm512_mask_storeu_ps(p, first_lanes(n), x); }
  // Rounds to nearest even, as the next does.
  static void store(Bf16* p, Vec x, std::int64_t n) {
    const __m512i bits = _mm512_castps_si512(x);
    const __m512i odd = _mm512_and_si512(_mm512_srli_epi32(bits, 16), _mm512_set1_epi32(1));
    const __m512i rounded = _mm512_add_epi32(bits, _mm512_add_epi32(odd, _mm512_set1_epi32(0x7fff)));
    const __mmask16 nan = _mm512_cmp_ps_mask(x, x, _CMP_UNORD_Q);
    const __m512i kept = _mm512_mask_or_epi32(rounded, nan, bits, _mm512_set1_epi32(0x400000));
    _mm256_mask_storeu_epi16(p, first_lanes(n), _mm512_cvtepi32_epi16(_mm512_srli_epi32(kept, 16)));
  }
  static void store(F16* p, Vec x, std::int64_t n) {
    const __m256i halves = _mm512_cvtps_ph(x, _MM_FROUND_TO_NEAREST_INT | _MM_FROUND_NO_EXC);
    _mm256_mask_storeu_epi16(p, first_lanes(n), halves);
  }

  static Vec add(Vec a, Vec b) { return _mm512_add_ps(a, b); }
  static Vec subtract(Vec a, Vec b) { return _mm512_sub_ps(a, b); }
  static Vec multiply(Vec a, Vec b) { return _mm512_mul_ps(a, b); }
  static Vec multiply_add(Vec a, Vec b, Vec c) { return _mm512_fmadd_ps(a, b, c); }
  static Vec multiply_subtract(Vec a, Vec b, Vec c) { return _mm512_fmsub_ps(a, b, c); }
  static Vec max(Vec a, Vec b) { return _mm512_max_ps(a, b); }
  static bool any_greater(Vec a, Vec b) { return _mm512_cmp_ps_mask(a, b, _CMP_GT_OQ) != 0; }
  static float sum(Vec x) { return _mm512_reduce_add_ps(x); }
  static float largest(Vec x) { return _mm512_reduce_max_ps(x); }
  static float first(Vec x) { return _mm512_cvtss_f32(x); }

  // 2^x to 2 units in the last place; 0 below -149, infinite from 128 on. Minimax over [-1/2, 1/2].
  static Vec exp2(Vec x) {
    const Vec whole = _mm512_roundscale_ps(x, _MM_FROUND_TO_NEAREST_INT | _MM_FROUND_NO_EXC);
    const Vec f = subtract(x, whole);
    Vec p = multiply_add(set(0.0001534581242594868F), f, set(0.0013399930903688073F));
    p = multiply_add(p, f, set(0.009618489071726799F));
    p = multiply_add(p, f, set(0.05550328642129898F));
    p = multiply_add(p, f, set(0.24022646248340607F));
    p = multiply_add(p, f, set(0.6931471824645996F));
    p = multiply_add(p, f, set(1));
    return _mm512_scalef_ps(p, whole);
  }

  static void transpose(Vec (&x)[16]) {
    Vec t[16];
#pragma GCC unroll 8
    for (int i = 0; i < 16; i += 2) {
      t[i] = _mm512_unpacklo_ps(x[i], x[i + 1]);
      t[i + 1] = _mm512_unpackhi_ps(x[i], x[i + 1]);
    }
    // x[4 i + j]: column j of each 128-bit lane, rows 4 i to 4 i + 3.
#pragma GCC unroll 4
    for (int i = 0; i < 16; i += 4) {
      x[i] = unpack_low(t[i], t[i + 2]);
      x[i + 1] = unpack_high(t[i], t[i + 2]);
      x[i + 2] = unpack_low(t[i + 1], t[i + 3]);
      x[i + 3] = unpack_high(t[i + 1], t[i + 3]);
    }
#pragma GCC unroll 4
    for (int j = 0; j < 4; ++j) {
      t[j] = _mm512_shuffle_f32x4(x[j], x[4 + j], 0x88);           // lanes 0 and 2 of rows 0-7
      t[4 + j] = _mm512_shuffle_f32x4(x[j], x[4 + j], 0xdd);       // lanes 1 and 3
      t[8 + j] = _mm512_shuffle_f32x4(x[8 + j], x[12 + j], 0x88);  // of rows 8-15
      t[12 + j] = _mm512_shuffle_f32x4(x[8 + j], x[12 + j], 0xdd);
    }
#pragma GCC unroll 4
    for (int j = 0; j < 4; ++j) {
      x[j] = _mm512_shuffle_f32x4(t[j], t[8 + j], 0x88);
      x[4 + j] = _mm512_shuffle_f32x4(t[4 + j], t[12 + j], 0x88);
      x[8 + j] = _mm512_shuffle_f32x4(t[j], t[8 + j], 0xdd);
      x[12 + j] = _mm512_shuffle_f32x4(t[4 + j], t[12 + j], 0xdd);
    }
  }

 private:
  static Vec unpack_low(Vec a, Vec b) {
    return _mm512_castpd_ps(_mm512_unpacklo_pd(_mm512_castps_pd(a), _mm512_castps_pd(b)));
  }
  static Vec unpack_high(Vec a, Vec b) {
    return _mm512_castpd_ps(_mm512_unpackhi_pd(_mm512_castps_pd(a), _mm512_castps_pd(b)));
  }
};

}  // namespace
}  // namespace hydrajob::cpu
