// The row kernels for AVX-512 F, BW, DQ and VL.
#if defined(__x86_64__)
// GCC 12 takes the undefined operand of its own intrinsics for a mistake (GCC bug 105593).
#pragma GCC diagnostic ignored "-Wmaybe-uninitialized"
#pragma GCC diagnostic ignored "-Wuninitialized"
// clang-format off
#include "kernels/cpu/row_kernels_prologue.hpp"

// After the headers: what others share keeps the common instruction set. It defines no macro like __AVX2__.
#pragma GCC target("avx512f,avx512bw,avx512dq,avx512vl,avx2,fma,f16c")
#define HJ_LANE_WIDTH 16
#define HJ_ROW_KERNELS row_kernels_avx512
#include "kernels/cpu/row_kernels.inc"
#endif
