// The tables of attention_block.hpp, one for each instruction set and element type. Products are of f32, to
// which the other types are widened, but where pairs of bf16 are multiplied as they are.
#pragma once

#include "kernels/cpu/attention_block.hpp"

namespace hydrajob::cpu {

extern const BlockKernels portable_f32_kernels;
extern const BlockKernels portable_bf16_kernels;
extern const BlockKernels portable_f16_kernels;
#if defined(__x86_64__)
extern const BlockKernels avx2_f32_kernels;
extern const BlockKernels avx2_bf16_kernels;
extern const BlockKernels avx2_f16_kernels;
extern const BlockKernels avx512_f32_kernels;
extern const BlockKernels avx512_bf16_kernels;
extern const BlockKernels avx512_f16_kernels;
extern const BlockKernels avx512_bf16_pair_kernels;
#endif

}  // namespace hydrajob::cpu
