// Embedding, normalisation, rotation and gate: rows over threads.
#include <cstring>
#include <vector>

#include "kernels/cpu/cpu_kernels.hpp"
#include "kernels/cpu/parallel.hpp"

namespace hydrajob::cpu {
namespace {

// Element `index` of a tensor.
const void* at(const void* tensor, std::int64_t index, DType dtype) {
  return static_cast<const std::byte*>(tensor) + static_cast<std::size_t>(index) * size_of(dtype);
}
void* at(void* tensor, std::int64_t index, DType dtype) {
  return static_cast<std::byte*>(tensor) + static_cast<std::size_t>(index) * size_of(dtype);
}

// Row r of the sum, where it stands or in `sum`; null: nothing is added.
const float* sum_of(const PartialSums& added, std::int64_t r, std::int64_t hidden, const RowKernels& rows,
                    std::vector<float>& sum) {
  if (added.n == 0) return nullptr;
  if (added.n == 1 && added.dtype == DType::f32)
    return static_cast<const float*>(added.parts[0]) + r * hidden;
  const auto n = static_cast<std::size_t>(hidden);
  sum.resize(2 * n);
  rows.to_f32(at(added.parts[0], r * hidden, added.dtype), added.dtype, sum.data(), hidden);
  for (int p = 1; p < added.n; ++p) {
    rows.to_f32(at(added.parts[p], r * hidden, added.dtype), added.dtype, sum.data() + n, hidden);
    for (std::size_t i = 0; i < n; ++i) sum[i] += sum[n + i];
  }
  return sum.data();
}

}  // namespace

void CpuKernels::embed(const std::int32_t* ids, const void* table, std::int64_t first_id, std::int64_t n_ids,
                       float* residual, std::int64_t rows, std::int64_t hidden, DType dtype, Stream&) {
  parallel_for(threads_, rows, [&](std::int64_t r) {
    const std::int64_t local = ids[r] - first_id;
    float* row = residual + r * hidden;
    if (local >= 0 && local < n_ids) {
      rows_.to_f32(at(table, local * hidden, dtype), dtype, row, hidden);
    } else {
      std::memset(row, 0, static_cast<std::size_t>(hidden) * sizeof(float));
    }
  });
}

void CpuKernels::add_rmsnorm(float* residual, const PartialSums& added, const void* weight, void* out,
                             std::int64_t rows, std::int64_t hidden, float eps, DType dtype, Stream&) {
  parallel_for(threads_, rows, [&](std::int64_t r) {
    thread_local std::vector<float> sum;
    rows_.add_rmsnorm(residual + r * hidden, sum_of(added, r, hidden, rows_, sum), weight,
                      at(out, r * hidden, dtype), hidden, eps, dtype);
  });
}

void CpuKernels::rope_and_cache(const void* qkv, const std::int32_t* positions, const std::int64_t* slots,
                                const float* cosine, const float* sine, void* q_out, const KvView& kv,
                                std::int64_t rows, std::int64_t n_heads, std::int64_t n_kv_heads,
                                std::int64_t head_dim, DType dtype, Stream&) {
  const std::size_t head_bytes = static_cast<std::size_t>(head_dim) * size_of(dtype);
  parallel_for(threads_, rows, [&](std::int64_t r) {
    const float* c = cosine + positions[r] * (head_dim / 2);
    const float* s = sine + positions[r] * (head_dim / 2);
    const std::int64_t q = r * (n_heads + 2 * n_kv_heads) * head_dim;
    for (std::int64_t h = 0; h < n_heads; ++h) {
      rows_.rotate(at(qkv, q + h * head_dim, dtype), at(q_out, (r * n_heads + h) * head_dim, dtype), c, s,
                   head_dim, dtype);
    }
    if (kv.k == nullptr || slots[r] < 0) return;
    const std::int64_t k = q + n_heads * head_dim;
    const std::int64_t v = k + n_kv_heads * head_dim;
    for (std::int64_t h = 0; h < n_kv_heads; ++h) {
      const std::int64_t cached = h * kv.head_stride + slots[r] * kv.token_stride;
      rows_.rotate(at(qkv, k + h * head_dim, dtype), at(kv.k, cached, dtype), c, s, head_dim, dtype);
      std::memcpy(at(kv.v, cached, dtype), at(qkv, v + h * head_dim, dtype), head_bytes);
    }
  });
}

void CpuKernels::swiglu(const void* gate_up, void* out, std::int64_t rows, std::int64_t width, DType dtype,
                        Stream&) {
  // A few rows are cut into pieces, so that every thread has some.
  const std::int64_t pieces = rows >= threads_ || width < 1024 ? 1 : threads_;
  parallel_for(threads_, rows * pieces, [&](std::int64_t task) {
    const std::int64_t r = task / pieces;
    const Piece piece = piece_of(width, task % pieces, pieces, 64);
    const std::int64_t gate = r * 2 * width + piece.begin;
    rows_.swiglu(at(gate_up, gate, dtype), at(gate_up, gate + width, dtype),
                 at(out, r * width + piece.begin, dtype), piece.end - piece.begin, dtype);
  });
}

}  // namespace hydrajob::cpu
