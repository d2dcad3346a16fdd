// Matrix products through cuBLASLt: one algorithm a shape, chosen by the library's heuristics at its first
// use and kept, or the fastest of their proposals where the shape was tuned.
#pragma once

#include <cstdint>
#include <cublasLt.h>
#include <map>
#include <memory>
#include <span>
#include <tuple>

#include "device/device.hpp"
#include "kernels/kernels.hpp"

namespace hydrajob::cuda {

// The weights as they stand in the model file, on the device.
class CudaWeight final : public PackedWeight {
 public:
  // Uninitialised.
  CudaWeight(Device& device, WeightLayout layout, std::int64_t out, std::int64_t in, DType dtype);
  // Copied from host memory.
  CudaWeight(Device& device, const void* weight, WeightLayout layout, std::int64_t out, std::int64_t in,
             DType dtype);
  std::int64_t in() const override { return in_; }
  std::int64_t out() const override { return out_; }
  std::size_t bytes() const override { return buffer_->bytes(); }
  const void* data() const { return buffer_->data(); }
  void* data() { return buffer_->data(); }
  WeightLayout layout() const { return layout_; }

 private:
  std::int64_t out_, in_;
  WeightLayout layout_;
  std::unique_ptr<Buffer> buffer_;  // (out, in) or (in, out), by layout
};

class Linear {
 public:
  explicit Linear(Device& device);
  ~Linear();
  Linear(const Linear&) = delete;
  Linear& operator=(const Linear&) = delete;

  // y (rows, out) = x (rows, in) times the weight. Nothing is allocated on the device: graphs may hold it.
  void run(const void* x, const CudaWeight& weight, void* y, DType y_dtype, std::int64_t rows, DType dtype,
           Stream& stream);
  // y += x times the weight, f32.
  void add(const void* x, const CudaWeight& weight, float* y, std::int64_t rows, DType dtype, Stream& stream);
  // Times what the heuristics propose for such products and keeps the fastest, as Kernels::tune_linear says.
  // What was tuned before is left as it is.
  void tune(const void* x, std::span<const PackedWeight* const> weights, void* y, DType y_dtype,
            std::int64_t rows, DType dtype, Stream& stream);

 private:
  class Product;
  using Shape = std::tuple<std::int64_t, std::int64_t, std::int64_t, WeightLayout, DType, DType>;
  Product& product(const Shape& shape);
  Product& product_of(const CudaWeight& weight, DType y_dtype, std::int64_t rows, DType dtype);

  cublasLtHandle_t handle_ = nullptr;
  std::unique_ptr<Buffer> workspace_;
  std::map<Shape, std::unique_ptr<Product>> products_;
};

}  // namespace hydrajob::cuda
