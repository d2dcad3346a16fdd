// The tables of attention_block.hpp, one for each instruction set and way to multiply.
#pragma once

#include "kernels/cpu/attention_block.hpp"

namespace hydrajob::cpu {

extern const BlockKernels portable_f32_kernels;
extern const BlockKernels portable_widened_kernels;
#if defined(__x86_64__)
extern const BlockKernels avx2_f32_kernels;
extern const BlockKernels avx2_widened_kernels;
extern const BlockKernels avx512_f32_kernels;
extern const BlockKernels avx512_widened_kernels;
extern const BlockKernels avx512_bf16_kernels;  // products of bf16 pairs
#endif

}  // namespace hydrajob::cpu
