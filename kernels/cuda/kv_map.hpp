// What the copy engine is told of a cache of keys or values.
#pragma once

#include <cuda.h>

#include "kernels/cuda/attention_work.hpp"

namespace hydrajob::cuda {

// bf16 or f16 (n_kv_heads, tokens, head_dim) in boxes of 64 dimensions by `keys` tokens, in the 128-byte
// swizzle.
CUtensorMap make_kv_map(const void* data, const WorkArgs& args, int keys, DType dtype);

}  // namespace hydrajob::cuda
