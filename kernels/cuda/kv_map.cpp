#include "kernels/cuda/kv_map.hpp"

#include <cuda_runtime_api.h>

#include "device/cuda_error.hpp"

namespace hydrajob::cuda {

CUtensorMap make_kv_map(const void* data, const WorkArgs& args, int keys, DType dtype) {
  static const auto encode = [] {
    void* function = nullptr;
    cudaDriverEntryPointQueryResult found{};
    HJ_CUDA_CHECK(cudaGetDriverEntryPointByVersion("cuTensorMapEncodeTiled", &function, 12000,
                                                   cudaEnableDefault, &found));
    return reinterpret_cast<decltype(&cuTensorMapEncodeTiled)>(function);
  }();
  const std::uint64_t element = size_of(dtype);
  constexpr cuuint32_t dimensions = 64;
  const cuuint64_t sizes[] = {static_cast<cuuint64_t>(args.head_dim), static_cast<cuuint64_t>(args.kv.tokens),
                              static_cast<cuuint64_t>(args.n_kv_heads)};
  const cuuint64_t strides[] = {static_cast<cuuint64_t>(args.kv.token_stride) * element,
                                static_cast<cuuint64_t>(args.kv.head_stride) * element};
  const cuuint32_t box[] = {dimensions, static_cast<cuuint32_t>(keys), 1}, steps[] = {1, 1, 1};
  const CUtensorMapDataType type =
      dtype == DType::f16 ? CU_TENSOR_MAP_DATA_TYPE_FLOAT16 : CU_TENSOR_MAP_DATA_TYPE_BFLOAT16;
  CUtensorMap map;
  const CUresult status = encode(&map, type, 3, const_cast<void*>(data), sizes, strides, box, steps,
                                 CU_TENSOR_MAP_INTERLEAVE_NONE, CU_TENSOR_MAP_SWIZZLE_128B,
                                 CU_TENSOR_MAP_L2_PROMOTION_L2_256B, CU_TENSOR_MAP_FLOAT_OOB_FILL_NONE);
  check_cuda(status == CUDA_SUCCESS ? cudaSuccess : cudaErrorInvalidValue, "cuTensorMapEncodeTiled");
  return map;
}

}  // namespace hydrajob::cuda
