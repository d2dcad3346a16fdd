// What the products of one CpuKernels share: engine, stream, shapes seen, scratch memory.
#pragma once

#include <memory>
#include <vector>

#include <dnnl.hpp>

#include "device/host_memory.hpp"
#include "kernels/cpu/product.hpp"

namespace hydrajob::cpu {

// Grows, never shrinks.
class Scratch {
 public:
  void* at_least(std::size_t bytes) {
    if (bytes > memory_.bytes()) {
      memory_ = HostMemory();  // the old one first: both need not fit
      memory_ = HostMemory(bytes);
    }
    return memory_.data();
  }

 private:
  HostMemory memory_;
};

class OneDnn {
 public:
  // Layers have weights of the same shapes: one Product serves them all.
  std::shared_ptr<Product> product(const ProductShape& shape) {
    for (const auto& known : products_) {
      if (known->shape() == shape) return known;
    }
    products_.push_back(std::make_shared<Product>(engine, shape));
    return products_.back();
  }

  dnnl::engine engine{dnnl::engine::kind::cpu, 0};
  dnnl::stream stream{engine};
  Scratch scratchpad;          // oneDNN's
  Scratch x_as_f32, y_as_f32;  // where the processor cannot multiply the weights' type

 private:
  std::vector<std::shared_ptr<Product>> products_;
};

}  // namespace hydrajob::cpu
