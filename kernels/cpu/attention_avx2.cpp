// Attention with AVX2 and FMA: f32, and bf16 widened to f32.
#include "kernels/cpu/attention_kernels.hpp"

#if defined(__x86_64__)
#include <cstddef>
#include <cstdint>
#include <immintrin.h>

#include "kernels/cpu/attention_block.hpp"

#pragma GCC push_options
#pragma GCC target("avx2,fma")
#include "kernels/cpu/attention_f32.hpp"
#include "kernels/cpu/attention_tile.hpp"
#include "kernels/cpu/attention_vector_avx2.hpp"

namespace hydrajob::cpu {

const BlockKernels avx2_f32_kernels = kernels_of<F32Elements<Avx2, float>>;
const BlockKernels avx2_widened_kernels = kernels_of<F32Elements<Avx2, std::uint16_t>>;

}  // namespace hydrajob::cpu
#pragma GCC pop_options
#endif
