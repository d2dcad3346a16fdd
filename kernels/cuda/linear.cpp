#include "kernels/cuda/linear.hpp"

#include <fmt/format.h>

#include "base/error.hpp"
#include "device/cuda_stream.hpp"
#include "kernels/cuda/cublas_error.hpp"

namespace hydrajob::cuda {
namespace {

// What NVIDIA recommends for Hopper; split sums of few rows need it.
constexpr std::size_t workspace_bytes = std::size_t{32} << 20;

cudaDataType_t type_of(DType dtype) {
  return dtype == DType::f32 ? CUDA_R_32F : CUDA_R_16BF;
}

class Matrix {
 public:
  // Column-major.
  Matrix(DType dtype, std::int64_t rows, std::int64_t columns) {
    HJ_CUBLAS_CHECK(cublasLtMatrixLayoutCreate(&layout_, type_of(dtype), static_cast<std::uint64_t>(rows),
                                               static_cast<std::uint64_t>(columns), rows));
  }
  ~Matrix() { cublasLtMatrixLayoutDestroy(layout_); }
  Matrix(const Matrix&) = delete;
  Matrix& operator=(const Matrix&) = delete;
  cublasLtMatrixLayout_t get() const { return layout_; }

 private:
  cublasLtMatrixLayout_t layout_ = nullptr;
};

class Operation {
 public:
  explicit Operation(bool transpose_weight) {
    HJ_CUBLAS_CHECK(cublasLtMatmulDescCreate(&descriptor_, CUBLAS_COMPUTE_32F, CUDA_R_32F));
    const cublasOperation_t of_weight = transpose_weight ? CUBLAS_OP_T : CUBLAS_OP_N;
    HJ_CUBLAS_CHECK(cublasLtMatmulDescSetAttribute(descriptor_, CUBLASLT_MATMUL_DESC_TRANSA, &of_weight,
                                                   sizeof of_weight));
  }
  ~Operation() { cublasLtMatmulDescDestroy(descriptor_); }
  Operation(const Operation&) = delete;
  Operation& operator=(const Operation&) = delete;
  cublasLtMatmulDesc_t get() const { return descriptor_; }

 private:
  cublasLtMatmulDesc_t descriptor_ = nullptr;
};

class Preference {
 public:
  Preference() {
    HJ_CUBLAS_CHECK(cublasLtMatmulPreferenceCreate(&preference_));
    HJ_CUBLAS_CHECK(cublasLtMatmulPreferenceSetAttribute(
        preference_, CUBLASLT_MATMUL_PREF_MAX_WORKSPACE_BYTES, &workspace_bytes, sizeof workspace_bytes));
  }
  ~Preference() { cublasLtMatmulPreferenceDestroy(preference_); }
  Preference(const Preference&) = delete;
  Preference& operator=(const Preference&) = delete;
  cublasLtMatmulPreference_t get() const { return preference_; }

 private:
  cublasLtMatmulPreference_t preference_ = nullptr;
};

}  // namespace

void check_cublas(cublasStatus_t status, const char* call) {
  if (status == CUBLAS_STATUS_SUCCESS) return;
  throw RunError(fmt::format("cuBLASLt: {}: {}", call, cublasLtGetStatusString(status)));
}

CudaWeight::CudaWeight(Device& device, const void* weight, WeightLayout layout, std::int64_t out,
                       std::int64_t in, DType dtype)
    : out_(out),
      in_(in),
      layout_(layout),
      buffer_(device.allocate(static_cast<std::size_t>(out * in) * size_of(dtype))) {
  device.copy_to_device(buffer_->data(), weight, buffer_->bytes());
  device.synchronize();  // the caller's rows may go
}

// Row-major y = x W^T is column-major y^T = W x^T: cuBLAS sees W as its A, x^T as its B.
class Linear::Product {
 public:
  Product(cublasLtHandle_t handle, const Shape& shape)
      : operation_(std::get<WeightLayout>(shape) == WeightLayout::out_in),
        weight_(weight_of(shape)),
        x_(std::get<4>(shape), std::get<1>(shape), std::get<0>(shape)),
        y_(std::get<5>(shape), std::get<2>(shape), std::get<0>(shape)) {
    cublasLtMatmulHeuristicResult_t result{};
    int found = 0;
    const Preference preference;
    HJ_CUBLAS_CHECK(cublasLtMatmulAlgoGetHeuristic(handle, operation_.get(), weight_->get(), x_.get(),
                                                   y_.get(), y_.get(), preference.get(), 1, &result, &found));
    if (found == 0) {
      throw RunError(fmt::format("cuBLASLt: no algorithm for {} rows of {} to {}", std::get<0>(shape),
                                 std::get<1>(shape), std::get<2>(shape)));
    }
    algorithm_ = result.algo;
  }

  void run(cublasLtHandle_t handle, const void* weight, const void* x, void* y, Buffer& workspace,
           cudaStream_t stream) const {
    const float one = 1, zero = 0;
    HJ_CUBLAS_CHECK(cublasLtMatmul(handle, operation_.get(), &one, weight, weight_->get(), x, x_.get(), &zero,
                                   y, y_.get(), y, y_.get(), &algorithm_, workspace.data(), workspace.bytes(),
                                   stream));
  }

 private:
  static std::unique_ptr<Matrix> weight_of(const Shape& shape) {
    const auto [rows, in, out, layout, dtype, y_dtype] = shape;
    return layout == WeightLayout::out_in ? std::make_unique<Matrix>(dtype, in, out)
                                          : std::make_unique<Matrix>(dtype, out, in);
  }

  Operation operation_;
  std::unique_ptr<Matrix> weight_;
  Matrix x_, y_;
  cublasLtMatmulAlgo_t algorithm_{};
};

Linear::Linear(Device& device) : workspace_(device.allocate(workspace_bytes)) {
  HJ_CUBLAS_CHECK(cublasLtCreate(&handle_));
}

Linear::~Linear() {
  products_.clear();
  cublasLtDestroy(handle_);
}

Linear::Product& Linear::product(const Shape& shape) {
  std::unique_ptr<Product>& found = products_[shape];
  if (!found) found = std::make_unique<Product>(handle_, shape);
  return *found;
}

void Linear::run(const void* x, const CudaWeight& weight, void* y, DType y_dtype, std::int64_t rows,
                 DType dtype, Stream& stream) {
  if (rows == 0) return;
  product({rows, weight.in(), weight.out(), weight.layout(), dtype, y_dtype})
      .run(handle_, weight.data(), x, y, *workspace_, cuda_stream(stream));
}

}  // namespace hydrajob::cuda
