#include "kernels/cpu/row_kernels.hpp"

namespace hydrajob::cpu {

const RowKernels& row_kernels(Isa isa) {
#if defined(__x86_64__)
  switch (isa) {
    case Isa::avx512_bf16:
    case Isa::avx512:
      return row_kernels_avx512();
    case Isa::avx2:
      return row_kernels_avx2();
    case Isa::portable:
      break;
  }
#else
  static_cast<void>(isa);
#endif
  return row_kernels_portable();
}

}  // namespace hydrajob::cpu
