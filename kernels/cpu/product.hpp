// Matrix products of one weight shape: the weights' blocked form, and a oneDNN primitive for each number of
// rows.
#pragma once

#include <cstddef>
#include <cstdint>
#include <list>
#include <memory>

#include <dnnl.hpp>

#include "base/dtype.hpp"
#include "device/host_memory.hpp"
#include "kernels/kernels.hpp"

namespace hydrajob::cpu {

struct ProductShape {
  std::int64_t in = 0;
  std::int64_t out = 0;
  std::int64_t expected_rows = 0;
  DType dtype = DType::f32;  // that is multiplied: f32 where the weights' type has no products of its own
  bool operator==(const ProductShape&) const = default;
};

class Product {
 public:
  Product(const dnnl::engine& engine, const ProductShape& shape);

  const ProductShape& shape() const { return shape_; }
  const dnnl::memory::desc& weight_desc() const { return weight_desc_; }

  struct Prepared {
    std::int64_t rows = 0;
    DType y_dtype = DType::f32;
    bool add = false;  // to what y holds
    dnnl::matmul matmul;
    dnnl::memory::desc x, y, scratchpad;
  };
  // The primitive for this many rows, made when first asked for; the least recently used goes when there are
  // too many.
  const Prepared& prepared(std::int64_t rows, DType y_dtype, bool add);

 private:
  Prepared prepare(std::int64_t rows, DType y_dtype, bool add) const;

  dnnl::engine engine_;
  ProductShape shape_;
  dnnl::memory::desc weight_desc_;
  std::list<Prepared> recent_;  // latest first
};

class OneDnnWeight final : public PackedWeight {
 public:
  // Reorders `weight` (as `layout` says, of shape.dtype) into the product's form.
  OneDnnWeight(std::shared_ptr<Product> product, const void* weight, WeightLayout layout,
               const dnnl::engine& engine, dnnl::stream& stream);

  std::int64_t in() const override { return product_->shape().in; }
  std::int64_t out() const override { return product_->shape().out; }
  std::size_t bytes() const override { return memory_.bytes(); }
  Product& product() const { return *product_; }
  void* data() const { return memory_.data(); }

 private:
  std::shared_ptr<Product> product_;
  HostMemory memory_;
};

}  // namespace hydrajob::cpu
