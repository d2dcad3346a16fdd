// The row kernels for whatever the compiler's own target has.
// clang-format off
#include "kernels/cpu/row_kernels_prologue.hpp"

#define HJ_LANE_WIDTH 4
#define HJ_ROW_KERNELS row_kernels_portable
#include "kernels/cpu/row_kernels.inc"
