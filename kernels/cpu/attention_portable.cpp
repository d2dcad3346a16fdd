// Attention on any processor: f32, and bf16 and f16 widened to f32.
#include <cstdint>

#include "base/bf16.hpp"
#include "base/f16.hpp"
#include "kernels/cpu/attention_f32.hpp"
#include "kernels/cpu/attention_kernels.hpp"
#include "kernels/cpu/attention_tile.hpp"
#include "kernels/cpu/attention_vector_portable.hpp"

namespace hydrajob::cpu {

const BlockKernels portable_f32_kernels = kernels_of<F32Elements<Portable, float>>;
const BlockKernels portable_bf16_kernels = kernels_of<F32Elements<Portable, Bf16>>;
const BlockKernels portable_f16_kernels = kernels_of<F32Elements<Portable, F16>>;

}  // namespace hydrajob::cpu
