#include "kernels/cpu/attention_block.hpp"

#include "kernels/cpu/attention_kernels.hpp"

namespace hydrajob::cpu {
namespace {

// Of one instruction set.
struct Tables {
  const BlockKernels& f32;
  const BlockKernels& bf16;
  const BlockKernels& f16;
};

Tables tables_of(Isa isa) {
#if defined(__x86_64__)
  switch (isa) {
    case Isa::avx512_bf16:
      return {avx512_f32_kernels, avx512_bf16_pair_kernels, avx512_f16_kernels};
    case Isa::avx512:
      return {avx512_f32_kernels, avx512_bf16_kernels, avx512_f16_kernels};
    case Isa::avx2:
      return {avx2_f32_kernels, avx2_bf16_kernels, avx2_f16_kernels};
    case Isa::portable:
      break;
  }
#else
  static_cast<void>(isa);
#endif
  return {portable_f32_kernels, portable_bf16_kernels, portable_f16_kernels};
}

}  // namespace

const BlockKernels& block_kernels(DType dtype, Isa isa) {
  const Tables tables = tables_of(isa);
  switch (dtype) {
    case DType::f32:
      return tables.f32;
    case DType::bf16:
      return tables.bf16;
    case DType::f16:
      break;
  }
  return tables.f16;
}

}  // namespace hydrajob::cpu
