// Attention with AVX512-BF16: products of bf16 pairs, summed in f32.
#include "kernels/cpu/attention_kernels.hpp"

#if defined(__x86_64__)
// GCC 12 takes the undefined operand of its own intrinsics for a mistake (GCC bug 105593).
#pragma GCC diagnostic ignored "-Wmaybe-uninitialized"
#pragma GCC diagnostic ignored "-Wuninitialized"
#include <cstddef>
#include <cstdint>
#include <immintrin.h>

#include "base/bf16.hpp"
#include "base/f16.hpp"
#include "kernels/cpu/attention_block.hpp"

#pragma GCC push_options
#pragma GCC target("avx2,fma,avx512f,avx512bw,avx512dq,avx512vl,avx512bf16")
#include "kernels/cpu/attention_tile.hpp"
#include "kernels/cpu/attention_vector_avx512.hpp"

namespace hydrajob::cpu {
namespace {

// An element is a pair of bf16: two dimensions of queries and keys, two keys of weights and values.
struct Bf16Pairs {
  using Vector = Avx512;
  using Stored = Bf16;
  using Element = std::uint32_t;
  static constexpr std::int64_t keys_per_element = 2;
  static constexpr std::int64_t weight_stride = key_block / 2;

  static constexpr std::int64_t elements(std::int64_t head_dim) { return head_dim / 2; }
  static constexpr bool reads_values_in_place(std::int64_t) { return false; }

  static __m512 load_elements(const Stored* row, std::int64_t first, std::int64_t count) {
    return _mm512_castsi512_ps(_mm512_maskz_loadu_epi32(Avx512::first_lanes(count), row + 2 * first));
  }
  static __m512 broadcast(const Element* a) {
    return _mm512_castsi512_ps(_mm512_set1_epi32(static_cast<int>(*a)));
  }
  static __m512 multiply_add(__m512 a, __m512 b, __m512 sum) {
    return _mm512_dpbf16_ps(sum, (__m512bh)a, (__m512bh)b);
  }

  // 2^x to 2^-13, a sixteenth of bf16's rounding. Minimax over [0, 1].
  static __m512 exp2(__m512 x) {
    const __m512 f = _mm512_reduce_ps(x, _MM_FROUND_TO_NEG_INF | _MM_FROUND_NO_EXC);
    __m512 p =
        Avx512::multiply_add(_mm512_set1_ps(0.07802452147006989F), f, _mm512_set1_ps(0.22606715559959412F));
    p = Avx512::multiply_add(p, f, _mm512_set1_ps(0.6958335638046265F));
    p = Avx512::multiply_add(p, f, _mm512_set1_ps(0.9999251961708069F));
    return _mm512_scalef_ps(p, x);
  }
  static void store_weights(Element* weights, std::int64_t key, __m512 a, __m512 b) {
    _mm512_storeu_si512(weights + key / 2, (__m512i)_mm512_cvtne2ps_pbh(b, a));
  }
  static void store_output(Stored* out, __m512 value, std::int64_t count) {
    _mm256_mask_storeu_epi16(out, Avx512::first_lanes(count), (__m256i)_mm512_cvtneps_pbh(value));
  }

  // Interleaves two keys' values, dimension by dimension; the last of an odd number pairs with zeros.
  static void pack_values(const Stored* v, std::int64_t token_stride, std::int64_t n_keys,
                          std::int64_t head_dim, float* packed) {
    const std::int64_t dim = padded(head_dim);
    for (std::int64_t key = 0; key < n_keys; key += 2) {
      const Stored* even = v + key * token_stride;
      float* target = packed + key / 2 * dim;
      for (std::int64_t d = 0; d < dim; d += 32, target += 32) {
        const auto mask = static_cast<__mmask32>(~0U >> (32 - smaller(32, head_dim - d)));
        const __m512i a = _mm512_maskz_loadu_epi16(mask, even + d);
        const __m512i b = _mm512_maskz_loadu_epi16(key + 1 < n_keys ? mask : 0, even + token_stride + d);
        _mm512_storeu_ps(target, interleave(a, b, 0));
        if (dim - d > 16) _mm512_storeu_ps(target + 16, interleave(a, b, 16));
      }
    }
  }

 private:
  // Words first .. first + 15 of a, each followed by that of b.
  static __m512 interleave(__m512i a, __m512i b, int first) {
    const __m512i steps =
        _mm512_set_epi32(0x2f000f, 0x2e000e, 0x2d000d, 0x2c000c, 0x2b000b, 0x2a000a, 0x290009, 0x280008,
                         0x270007, 0x260006, 0x250005, 0x240004, 0x230003, 0x220002, 0x210001, 0x200000);
    const __m512i index = _mm512_add_epi16(steps, _mm512_set1_epi16(static_cast<short>(first)));
    return _mm512_castsi512_ps(_mm512_permutex2var_epi16(a, index, b));
  }
};

}  // namespace

const BlockKernels avx512_bf16_pair_kernels = kernels_of<Bf16Pairs>;

}  // namespace hydrajob::cpu
#pragma GCC pop_options
#endif
