// Attention on any processor: f32, and bf16 widened to f32.
#include <cstdint>

#include "kernels/cpu/attention_f32.hpp"
#include "kernels/cpu/attention_kernels.hpp"
#include "kernels/cpu/attention_tile.hpp"
#include "kernels/cpu/attention_vector_portable.hpp"

namespace hydrajob::cpu {

const BlockKernels portable_f32_kernels = kernels_of<F32Elements<Portable, float>>;
const BlockKernels portable_widened_kernels = kernels_of<F32Elements<Portable, std::uint16_t>>;

}  // namespace hydrajob::cpu
