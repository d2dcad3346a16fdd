// Embedding, normalisation, matrix product, rotation and gate, as written down in the Llama papers.
#include <cmath>
#include <vector>

#include "kernels/reference/element.hpp"
#include "kernels/reference/reference_kernels.hpp"

namespace hydrajob::reference {
namespace {

class PlainWeight final : public PackedWeight {
 public:
  PlainWeight(const void* weight, WeightLayout layout, std::int64_t out, std::int64_t in, DType dtype)
      : out_(out), in_(in), values_(static_cast<std::size_t>(out * in)) {
    for (std::int64_t o = 0; o < out; ++o) {
      for (std::int64_t i = 0; i < in; ++i) {
        const std::int64_t source = layout == WeightLayout::out_in ? o * in + i : i * out + o;
        values_[static_cast<std::size_t>(o * in + i)] = load(weight, source, dtype);
      }
    }
  }
  std::int64_t in() const override { return in_; }
  std::int64_t out() const override { return out_; }
  std::size_t bytes() const override { return values_.size() * sizeof(float); }
  float at(std::int64_t o, std::int64_t i) const { return values_[static_cast<std::size_t>(o * in_ + i)]; }

 private:
  std::int64_t out_;
  std::int64_t in_;
  std::vector<float> values_;  // (out, in)
};

// (head_dim) at `from` rotated by the angles of one position (RoPE, arXiv 2104.09864), half-split pairs.
void rotate(const void* source, std::int64_t from, void* target, std::int64_t to, const float* cosine,
            const float* sine, std::int64_t head_dim, DType dtype) {
  const std::int64_t half = head_dim / 2;
  for (std::int64_t i = 0; i < half; ++i) {
    const double a = load(source, from + i, dtype);
    const double b = load(source, from + i + half, dtype);
    store(target, to + i, dtype, a * cosine[i] - b * sine[i]);
    store(target, to + i + half, dtype, b * cosine[i] + a * sine[i]);
  }
}

// Of row r of x and output o.
double product_of(const void* x, std::int64_t r, const PlainWeight& w, std::int64_t o, DType dtype) {
  double sum = 0;
  for (std::int64_t i = 0; i < w.in(); ++i) {
    sum += static_cast<double>(load(x, r * w.in() + i, dtype)) * w.at(o, i);
  }
  return sum;
}

}  // namespace

void ReferenceKernels::embed(const std::int32_t* ids, const void* table, std::int64_t first_id,
                             std::int64_t n_ids, float* residual, std::int64_t rows, std::int64_t hidden,
                             DType dtype, Stream&) {
  for (std::int64_t r = 0; r < rows; ++r) {
    const std::int64_t local = ids[r] - first_id;
    const bool here = local >= 0 && local < n_ids;
    for (std::int64_t i = 0; i < hidden; ++i) {
      residual[r * hidden + i] = here ? load(table, local * hidden + i, dtype) : 0.0f;
    }
  }
}

void ReferenceKernels::add_rmsnorm(float* residual, const PartialSums& added, const void* weight, void* out,
                                   std::int64_t rows, std::int64_t hidden, float eps, DType dtype, Stream&) {
  for (std::int64_t r = 0; r < rows; ++r) {
    float* row = residual + r * hidden;
    double squares = 0;
    for (std::int64_t i = 0; i < hidden; ++i) {
      float sum = 0;
      for (int p = 0; p < added.n; ++p) sum += load(added.parts[p], r * hidden + i, added.dtype);
      row[i] += sum;
      squares += static_cast<double>(row[i]) * row[i];
    }
    const double scale = 1.0 / std::sqrt(squares / static_cast<double>(hidden) + eps);
    for (std::int64_t i = 0; i < hidden; ++i) {
      store(out, r * hidden + i, dtype, row[i] * scale * load(weight, i, dtype));
    }
  }
}

std::unique_ptr<PackedWeight> ReferenceKernels::pack(const void* weight, WeightLayout layout,
                                                     std::int64_t out, std::int64_t in, std::int64_t,
                                                     DType dtype) {
  return std::make_unique<PlainWeight>(weight, layout, out, in, dtype);
}

void ReferenceKernels::linear(const void* x, const PackedWeight& weight, void* y, DType y_dtype,
                              std::int64_t rows, DType dtype, Stream&) {
  const auto& w = static_cast<const PlainWeight&>(weight);
  for (std::int64_t r = 0; r < rows; ++r) {
    for (std::int64_t o = 0; o < w.out(); ++o) {
      store(y, r * w.out() + o, y_dtype, product_of(x, r, w, o, dtype));
    }
  }
}

void ReferenceKernels::add_linear(const void* x, const PackedWeight& weight, float* y, std::int64_t rows,
                                  DType dtype, Stream&) {
  const auto& w = static_cast<const PlainWeight&>(weight);
  for (std::int64_t r = 0; r < rows; ++r) {
    for (std::int64_t o = 0; o < w.out(); ++o) {
      float& sum = y[r * w.out() + o];
      sum = static_cast<float>(sum + product_of(x, r, w, o, dtype));
    }
  }
}

void ReferenceKernels::rope_and_cache(const void* qkv, const std::int32_t* positions,
                                      const std::int64_t* slots, const float* cosine, const float* sine,
                                      void* q_out, const KvView& kv, std::int64_t rows, std::int64_t n_heads,
                                      std::int64_t n_kv_heads, std::int64_t head_dim, DType dtype, Stream&) {
  const std::int64_t half = head_dim / 2;
  for (std::int64_t r = 0; r < rows; ++r) {
    const float* c = cosine + positions[r] * half;
    const float* s = sine + positions[r] * half;
    const std::int64_t q = r * (n_heads + 2 * n_kv_heads) * head_dim;
    for (std::int64_t h = 0; h < n_heads; ++h) {
      rotate(qkv, q + h * head_dim, q_out, (r * n_heads + h) * head_dim, c, s, head_dim, dtype);
    }
    if (kv.k == nullptr || slots[r] < 0) continue;
    const std::int64_t k = q + n_heads * head_dim;
    const std::int64_t v = k + n_kv_heads * head_dim;
    for (std::int64_t h = 0; h < n_kv_heads; ++h) {
      const std::int64_t cached = h * kv.head_stride + slots[r] * kv.token_stride;
      rotate(qkv, k + h * head_dim, kv.k, cached, c, s, head_dim, dtype);
      for (std::int64_t i = 0; i < head_dim; ++i) {
        store(kv.v, cached + i, dtype, load(qkv, v + h * head_dim + i, dtype));
      }
    }
  }
}

void ReferenceKernels::swiglu(const void* gate_up, void* out, std::int64_t rows, std::int64_t width,
                              DType dtype, Stream&) {
  for (std::int64_t r = 0; r < rows; ++r) {
    for (std::int64_t i = 0; i < width; ++i) {
      const double gate = load(gate_up, r * 2 * width + i, dtype);
      const double up = load(gate_up, r * 2 * width + width + i, dtype);
      store(out, r * width + i, dtype, gate / (1.0 + std::exp(-gate)) * up);
    }
  }
}

}  // namespace hydrajob::reference
