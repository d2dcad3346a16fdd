// Attention with AVX-512: f32, and bf16 and f16 widened to f32.
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
#pragma GCC target("avx2,fma,avx512f,avx512bw,avx512dq,avx512vl")
#include "kernels/cpu/attention_f32.hpp"
#include "kernels/cpu/attention_tile.hpp"
#include "kernels/cpu/attention_vector_avx512.hpp"

namespace hydrajob::cpu {

const BlockKernels avx512_f32_kernels = kernels_of<F32Elements<Avx512, float>>;
const BlockKernels avx512_bf16_kernels = kernels_of<F32Elements<Avx512, Bf16>>;
const BlockKernels avx512_f16_kernels = kernels_of<F32Elements<Avx512, F16>>;

}  // namespace hydrajob::cpu
#pragma GCC pop_options
#endif
