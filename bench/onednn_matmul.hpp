// One oneDNN matrix product with everything prepared, in the library's own preferred weight format: the
// yardstick of the CPU benchmarks. C = A B; A: (batch, m, k), B: (batch, k, n), C: (batch, m, n).
#pragma once

#include <cstdint>
#include <unordered_map>

#include <dnnl.hpp>

namespace hydrajob::bench {

struct MatmulShape {
  std::int64_t batch = 1;
  std::int64_t m = 0;
  std::int64_t k = 0;
  std::int64_t n = 0;
  bool constant_weights = true;     // B may be repacked beforehand; else it is taken as it lies
  bool transposed_weights = false;  // with constant_weights off: B lies as (batch, n, k)
  double flops() const { return 2.0 * static_cast<double>(batch * m * k * n); }
};

inline dnnl::engine& onednn_engine() {
  static dnnl::engine engine(dnnl::engine::kind::cpu, 0);
  return engine;
}

class OneDnnMatmul {
 public:
  OneDnnMatmul(const MatmulShape& shape, dnnl::memory::data_type type) : stream_(onednn_engine()) {
    using tag = dnnl::memory::format_tag;
    using dims = dnnl::memory::dims;
    // Two dimensions where there is no batch: oneDNN has faster weight formats for them.
    const bool flat = shape.batch == 1;
    const dims a = flat ? dims{shape.m, shape.k} : dims{shape.batch, shape.m, shape.k};
    const dims b = flat ? dims{shape.k, shape.n} : dims{shape.batch, shape.k, shape.n};
    const dims c = flat ? dims{shape.m, shape.n} : dims{shape.batch, shape.m, shape.n};
    const tag plain = flat ? tag::ab : tag::abc;
    const tag transposed = flat ? tag::ba : tag::acb;
    const tag b_tag = shape.constant_weights ? tag::any : (shape.transposed_weights ? transposed : plain);
    const dnnl::memory::desc a_desc(a, type, plain), b_desc(b, type, b_tag), c_desc(c, type, plain);
#if DNNL_VERSION_MAJOR >= 3
    const dnnl::matmul::primitive_desc pd(onednn_engine(), a_desc, b_desc, c_desc);
#else
    const dnnl::matmul::primitive_desc pd(dnnl::matmul::desc(a_desc, b_desc, c_desc), onednn_engine());
#endif
    matmul_ = dnnl::matmul(pd);
    arguments_ = {{DNNL_ARG_SRC, filled(pd.src_desc(), type)},
                  {DNNL_ARG_WEIGHTS, filled(pd.weights_desc(), type)},
                  {DNNL_ARG_DST, dnnl::memory(pd.dst_desc(), onednn_engine())}};
  }

  void run() {
    matmul_.execute(stream_, arguments_);
    stream_.wait();
  }

 private:
  // Uniform in (-1, 1): never zeros, which multiply faster.
  static dnnl::memory filled(const dnnl::memory::desc& desc, dnnl::memory::data_type type) {
    dnnl::memory memory(desc, onednn_engine());
    std::uint32_t state = 12345;
    const auto next = [&state] {
      state = state * 1664525u + 1013904223u;
      return (static_cast<float>(state >> 8) / 8388608.0f) - 1.0f;
    };
    if (type == dnnl::memory::data_type::f32) {
      auto* values = static_cast<float*>(memory.get_data_handle());
      for (std::size_t i = 0; i < desc.get_size() / sizeof(float); ++i) values[i] = next();
    } else {
      auto* values = static_cast<std::uint16_t*>(memory.get_data_handle());
      for (std::size_t i = 0; i < desc.get_size() / sizeof(std::uint16_t); ++i) {
        const float value = next();
        values[i] = static_cast<std::uint16_t>(__builtin_bit_cast(std::uint32_t, value) >> 16);
      }
    }
    return memory;
  }

  dnnl::stream stream_;
  dnnl::matmul matmul_;
  std::unordered_map<int, dnnl::memory> arguments_;
};

}  // namespace hydrajob::bench
