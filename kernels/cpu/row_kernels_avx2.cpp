// The row kernels for AVX2.
// clang-format off
#include "kernels/cpu/row_kernels_prologue.hpp"

#if defined(__x86_64__)
// After the headers: what others share keeps the common instruction set.
#pragma GCC target("avx2,fma,f16c")
#endif

#define HJ_ROW_KERNELS row_kernels_avx2
#include "kernels/cpu/row_kernels.inc"
