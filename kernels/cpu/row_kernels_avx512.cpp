// The row kernels for AVX-512 F, BW, DQ, VL.
// clang-format off
#include "kernels/cpu/row_kernels_prologue.hpp"

#if defined(__x86_64__)
// After the headers: what others share keeps the common instruction set.
#pragma GCC target("avx512f,avx512bw,avx512dq,avx512vl,avx2,fma,f16c")
#endif

#define HJ_ROW_KERNELS row_kernels_avx512
#include "kernels/cpu/row_kernels.inc"
