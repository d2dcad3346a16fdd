// The little of oneDNN that the kernels use, the same for its versions 2 and 3: how a matrix product is
// described differs between them. Throws what oneDNN throws.
#pragma once

#include <cstdint>
#include <string>

#include <dnnl.hpp>

#include "base/dtype.hpp"
#include "kernels/cpu/isa.hpp"

namespace hydrajob::cpu {

using MatmulDesc = dnnl::matmul::primitive_desc;

// C = A B with A: (rows, in), B: (in, out) as `b` says, C: (rows, out); A and C row-major and dense. The
// scratchpad is the caller's. add: C += A B.
MatmulDesc describe_matmul(const dnnl::engine& engine, std::int64_t rows, std::int64_t in, std::int64_t out,
                           dnnl::memory::data_type a_type, const dnnl::memory::desc& b,
                           dnnl::memory::data_type c_type, bool add = false);

// True for the plain loops that oneDNN falls back on where it has nothing fast.
bool is_reference(const std::string& implementation);

// Holds oneDNN to `isa`, unless ONEDNN_MAX_CPU_ISA (or the older DNNL_MAX_CPU_ISA) is set. To be called
// before the first primitive; later it has no effect.
void limit_onednn(Isa isa);

// Whether oneDNN has fast products of this type, summed in f32, under every limit that was set.
bool multiplies(DType dtype);

dnnl::memory::data_type data_type_of(DType dtype);

}  // namespace hydrajob::cpu
