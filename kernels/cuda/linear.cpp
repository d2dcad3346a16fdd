#include "kernels/cuda/linear.hpp"

#include <algorithm>
#include <iterator>
#include <limits>
#include <vector>

#include <fmt/format.h>

#include "base/error.hpp"
#include "device/cuda_stream.hpp"
#include "kernels/cuda/cublas_error.hpp"

namespace hydrajob::cuda {
namespace {

// What NVIDIA recommends for Hopper; split sums of few rows need it.
constexpr std::size_t workspace_bytes = std::size_t{32} << 20;

// How many proposals are tried, and how often each is launched. Products of few rows are bound by reading the
// weight, which proposals do at rates up to a quarter apart, and are quick to try. For many rows
// a launch takes long, and trying is a pause between two runs of a sweep.
struct Tries {
  std::int64_t most_rows;
  int proposals;
  int rounds;
};
constexpr Tries tries[] = {{127, 16, 8}, {1024, 8, 6}, {std::numeric_limits<std::int64_t>::max(), 3, 3}};
constexpr float tuning_gain = 0.98F;

const Tries& tries_of(std::int64_t rows) {
  return *std::find_if(std::begin(tries), std::end(tries),
                       [&](const Tries& t) { return rows <= t.most_rows; });
}

cudaDataType_t type_of(DType dtype) {
  return dtype == DType::f32 ? CUDA_R_32F : dtype == DType::bf16 ? CUDA_R_16BF : CUDA_R_16F;
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
  // Of products to y_dtype.
  explicit Preference(DType y_dtype) {
    HJ_CUBLAS_CHECK(cublasLtMatmulPreferenceCreate(&preference_));
    HJ_CUBLAS_CHECK(cublasLtMatmulPreferenceSetAttribute(
        preference_, CUBLASLT_MATMUL_PREF_MAX_WORKSPACE_BYTES, &workspace_bytes, sizeof workspace_bytes));
    if (y_dtype != DType::f16) return;
    // A part of a split sum may be beyond f16's largest number where the sum is not: parts stay f32.
    const std::uint32_t parts_in_f32 = CUBLASLT_REDUCTION_SCHEME_COMPUTE_TYPE;
    HJ_CUBLAS_CHECK(cublasLtMatmulPreferenceSetAttribute(
        preference_, CUBLASLT_MATMUL_PREF_REDUCTION_SCHEME_MASK, &parts_in_f32, sizeof parts_in_f32));
  }
  ~Preference() { cublasLtMatmulPreferenceDestroy(preference_); }
  Preference(const Preference&) = delete;
  Preference& operator=(const Preference&) = delete;
  cublasLtMatmulPreference_t get() const { return preference_; }

 private:
  cublasLtMatmulPreference_t preference_ = nullptr;
};

// A point in a stream's work.
class Mark {
 public:
  Mark() { HJ_CUDA_CHECK(cudaEventCreate(&event_)); }
  ~Mark() { cudaEventDestroy(event_); }
  Mark(const Mark&) = delete;
  Mark& operator=(const Mark&) = delete;

  void record(cudaStream_t stream) { HJ_CUDA_CHECK(cudaEventRecord(event_, stream)); }
  float milliseconds_to(const Mark& end) const {
    HJ_CUDA_CHECK(cudaEventSynchronize(end.event_));
    float ms = 0;
    HJ_CUDA_CHECK(cudaEventElapsedTime(&ms, event_, end.event_));
    return ms;
  }

 private:
  cudaEvent_t event_ = nullptr;
};

}  // namespace

void check_cublas(cublasStatus_t status, const char* call) {
  if (status == CUBLAS_STATUS_SUCCESS) return;
  throw RunError(fmt::format("cuBLASLt: {}: {}", call, cublasLtGetStatusString(status)));
}

CudaWeight::CudaWeight(Device& device, WeightLayout layout, std::int64_t out, std::int64_t in, DType dtype)
    : out_(out),
      in_(in),
      layout_(layout),
      buffer_(device.allocate(static_cast<std::size_t>(out * in) * size_of(dtype))) {}

CudaWeight::CudaWeight(Device& device, const void* weight, WeightLayout layout, std::int64_t out,
                       std::int64_t in, DType dtype)
    : CudaWeight(device, layout, out, in, dtype) {
  device.copy_to_device(buffer_->data(), weight, buffer_->bytes());
  device.synchronize();  // the caller's rows may go
}

// Row-major y = x W^T is column-major y^T = W x^T: cuBLAS sees W as its A, x^T as its B.
class Linear::Product {
 public:
  struct Operands {
    const void* weight;
    const void* x;
    void* y;
    float keep = 0;  // of what y holds
  };

  Product(cublasLtHandle_t handle, const Shape& shape, Buffer& workspace)
      : handle_(handle),
        workspace_(workspace),
        rows_(std::get<0>(shape)),
        operation_(std::get<WeightLayout>(shape) == WeightLayout::out_in),
        weight_(weight_of(shape)),
        x_(std::get<4>(shape), std::get<1>(shape), std::get<0>(shape)),
        y_(std::get<5>(shape), std::get<2>(shape), std::get<0>(shape)) {
    const int asked = tries_of(rows_).proposals;
    std::vector<cublasLtMatmulHeuristicResult_t> results(static_cast<std::size_t>(asked));
    int found = 0;
    const Preference preference(std::get<5>(shape));
    HJ_CUBLAS_CHECK(cublasLtMatmulAlgoGetHeuristic(handle, operation_.get(), weight_->get(), x_.get(),
                                                   y_.get(), y_.get(), preference.get(), asked,
                                                   results.data(), &found));
    if (found == 0) {
      throw RunError(fmt::format("cuBLASLt: no algorithm for {} rows of {} to {}", rows_, std::get<1>(shape),
                                 std::get<2>(shape)));
    }
    for (int i = 0; i < found; ++i) proposals_.push_back(results[static_cast<std::size_t>(i)].algo);
  }

  void run(const Operands& operands, cudaStream_t stream) const { run(proposals_.front(), operands, stream); }

  // Launches without a pause, as in a pass, of each proposal in turn: alone, a product may run at a clock
  // that the power limit does not allow for long, and the first at a higher one than the last.
  void tune(std::span<const PackedWeight* const> weights, const void* x, void* y, cudaStream_t stream) {
    if (proposals_.size() < 2) return;
    std::size_t launches = 0;
    const auto launch = [&](std::size_t proposal) {
      const PackedWeight* weight = weights[launches++ % weights.size()];
      run(proposals_[proposal], {static_cast<const CudaWeight*>(weight)->data(), x, y}, stream);
    };
    for (std::size_t i = 0; i < proposals_.size(); ++i) launch(i);  // loads the kernels
    std::vector<Mark> marks(static_cast<std::size_t>(tries_of(rows_).rounds) * proposals_.size() + 1);
    marks[0].record(stream);
    for (std::size_t i = 0; i + 1 < marks.size(); ++i) {
      launch(i % proposals_.size());
      marks[i + 1].record(stream);
    }
    std::vector<float> ms(proposals_.size());
    for (std::size_t i = 0; i + 1 < marks.size(); ++i) {
      ms[i % ms.size()] += marks[i].milliseconds_to(marks[i + 1]);
    }
    const auto best = std::min_element(ms.begin(), ms.end());
    // The library's first choice where another is not clearly faster: the same from run to run.
    const std::size_t chosen =
        *best < tuning_gain * ms[0] ? static_cast<std::size_t>(std::distance(ms.begin(), best)) : 0;
    proposals_ = {proposals_[chosen]};
  }

 private:
  void run(const cublasLtMatmulAlgo_t& algorithm, const Operands& operands, cudaStream_t stream) const {
    const float one = 1;
    HJ_CUBLAS_CHECK(cublasLtMatmul(handle_, operation_.get(), &one, operands.weight, weight_->get(),
                                   operands.x, x_.get(), &operands.keep, operands.y, y_.get(), operands.y,
                                   y_.get(), &algorithm, workspace_.data(), workspace_.bytes(), stream));
  }

  static std::unique_ptr<Matrix> weight_of(const Shape& shape) {
    const auto [rows, in, out, layout, dtype, y_dtype] = shape;
    return layout == WeightLayout::out_in ? std::make_unique<Matrix>(dtype, in, out)
                                          : std::make_unique<Matrix>(dtype, out, in);
  }

  cublasLtHandle_t handle_;
  Buffer& workspace_;
  std::int64_t rows_;
  Operation operation_;
  std::unique_ptr<Matrix> weight_;
  Matrix x_, y_;
  std::vector<cublasLtMatmulAlgo_t> proposals_;  // the first is used; one only: tuned
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
  if (!found) found = std::make_unique<Product>(handle_, shape, *workspace_);
  return *found;
}

Linear::Product& Linear::product_of(const CudaWeight& weight, DType y_dtype, std::int64_t rows, DType dtype) {
  return product({rows, weight.in(), weight.out(), weight.layout(), dtype, y_dtype});
}

void Linear::run(const void* x, const CudaWeight& weight, void* y, DType y_dtype, std::int64_t rows,
                 DType dtype, Stream& stream) {
  if (rows == 0) return;
  product_of(weight, y_dtype, rows, dtype).run({weight.data(), x, y}, cuda_stream(stream));
}

void Linear::add(const void* x, const CudaWeight& weight, float* y, std::int64_t rows, DType dtype,
                 Stream& stream) {
  if (rows == 0) return;
  product_of(weight, DType::f32, rows, dtype).run({weight.data(), x, y, 1}, cuda_stream(stream));
}

void Linear::tune(const void* x, std::span<const PackedWeight* const> weights, void* y, DType y_dtype,
                  std::int64_t rows, DType dtype, Stream& stream) {
  if (rows == 0 || weights.empty()) return;
  product_of(static_cast<const CudaWeight&>(*weights.front()), y_dtype, rows, dtype)
      .tune(weights, x, y, cuda_stream(stream));
}

}  // namespace hydrajob::cuda
