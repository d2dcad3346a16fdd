#include "kernels/cpu/attention_block.hpp"

#include "kernels/cpu/attention_kernels.hpp"

namespace hydrajob::cpu {

const BlockKernels& block_kernels(DType dtype, Isa isa) {
  const bool f32 = dtype == DType::f32;
#if defined(__x86_64__)
  switch (isa) {
    case Isa::avx512_bf16:
      return f32 ? avx512_f32_kernels : avx512_bf16_kernels;
    case Isa::avx512:
      return f32 ? avx512_f32_kernels : avx512_widened_kernels;
    case Isa::avx2:
      return f32 ? avx2_f32_kernels : avx2_widened_kernels;
    case Isa::portable:
      break;
  }
#else
  static_cast<void>(isa);
#endif
  return f32 ? portable_f32_kernels : portable_widened_kernels;
}

}  // namespace hydrajob::cpu
