// Sums of 16-bit floating-point vectors for MPI_Op: MPI 3 has no such type.
#pragma once

#include <cstdint>

#include "base/bf16.hpp"
#include "base/f16.hpp"

namespace hydrajob {

// inout[i] = in[i] + inout[i], added in f32, rounded once (to nearest even; NaN stays NaN). in, inout: (n).
// The result's bits do not depend on which operand is which, as ranks that reduce in pairs need.
void add(const Bf16* in, Bf16* inout, std::int64_t n);
void add(const F16* in, F16* inout, std::int64_t n);

}  // namespace hydrajob
