// Attention with AVX2, FMA and F16C: f32, and bf16 and f16 widened to f32.
#include "kernels/cpu/attention_kernels.hpp"

#if defined(__x86_64__)
#include <cstddef>
#include <cstdint>
#include <immintrin.h>

#include "base/bf16.hpp"
#include "base/f16.hpp"
#include "kernels/cpu/attention_block.hpp"

#pragma GCC push_options
#pragma GCC target("avx2,fma,f16c")
#include "kernels/cpu/attention_f32.hpp"
#include "kernels/cpu/attention_tile.hpp"
#include "kernels/cpu/attention_vector_avx2.hpp"

namespace hydrajob::cpu {

const BlockKernels avx2_f32_kernels = kernels_of<F32Elements<Avx2, float>>;
const BlockKernels avx2_bf16_kernels = kernels_of<F32Elements<Avx2, Bf16>>;
const BlockKernels avx2_f16_kernels = kernels_of<F32Elements<Avx2, F16>>;

}  // namespace hydrajob::cpu
#pragma GCC pop_options
#endif
