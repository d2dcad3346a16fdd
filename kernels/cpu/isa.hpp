// Which instruction set the CPU kernels use: the widest of this processor, unless the environment variable
// HYDRAJOB_ISA asks for less (to compare them, and to test each on one machine).
#pragma once

#include <string_view>

namespace hydrajob::cpu {

// In rising order: each includes those before it.
enum class Isa {
  portable,    // whatever the compiler's target has (x86-64: SSE2)
  avx2,        // AVX2, FMA, F16C
  avx512,      // AVX-512 F, BW, DQ, VL
  avx512_bf16  // also products of bf16 pairs
};

// Chosen once a process. Throws UsageError when HYDRAJOB_ISA is none of the four names.
Isa isa();

// What the processor has, whatever HYDRAJOB_ISA says.
Isa detected_isa();

// The smaller of `detected` and the one named `asked`. Throws UsageError for an unknown name.
Isa capped_isa(Isa detected, std::string_view asked);

std::string_view name_of(Isa isa);

}  // namespace hydrajob::cpu
