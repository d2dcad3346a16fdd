// The plain version of every kernel: loops over elements, f64 sums, one thread. The other backends are tested
// against it; it is also the place to read what an operation does.
#pragma once

#include "kernels/kernels.hpp"

namespace hydrajob::reference {

class ReferenceKernels final : public Kernels {
 public:
  void embed(const std::int32_t* ids, const void* table, std::int64_t first_id, std::int64_t n_ids,
             float* residual, std::int64_t rows, std::int64_t hidden, DType dtype, Stream& stream) override;
  void add_rmsnorm(float* residual, const PartialSums& added, const void* weight, void* out,
                   std::int64_t rows, std::int64_t hidden, float eps, DType dtype, Stream& stream) override;
  std::unique_ptr<PackedWeight> pack(const void* weight, WeightLayout layout, std::int64_t out,
                                     std::int64_t in, std::int64_t expected_rows, DType dtype) override;
  void add_linear(const void* x, const PackedWeight& weight, float* y, std::int64_t rows, DType dtype,
                  Stream& stream) override;
  void linear(const void* x, const PackedWeight& weight, void* y, DType y_dtype, std::int64_t rows,
              DType dtype, Stream& stream) override;
  bool fill_seeded(const SeededPart& part, void* target, DType dtype, Stream& stream) override;
  std::unique_ptr<PackedWeight> pack_seeded(std::span<const SeededPart> parts, WeightLayout layout,
                                            std::int64_t out, std::int64_t in, std::int64_t expected_rows,
                                            DType dtype) override;
  void rope_and_cache(const void* qkv, const std::int32_t* positions, const std::int64_t* slots,
                      const float* cosine, const float* sine, void* q_out, const KvView& kv,
                      std::int64_t rows, std::int64_t n_heads, std::int64_t n_kv_heads, std::int64_t head_dim,
                      DType dtype, Stream& stream) override;
  std::unique_ptr<AttentionPlan> plan_attention(const AttentionArgs& args, std::int32_t growth) override;
  void attention(const AttentionPlan& plan, const AttentionArgs& args, Stream& stream) override;
  void swiglu(const void* gate_up, void* out, std::int64_t rows, std::int64_t width, DType dtype,
              Stream& stream) override;
  void row_max(const float* logits, float* maximum, std::int64_t rows, std::int64_t n_ids,
               Stream& stream) override;
  void nucleus_histogram(const float* logits, const float* maximum, const std::uint32_t* prefix, int pass,
                         float temperature, std::uint64_t* histogram, std::int64_t rows, std::int64_t n_ids,
                         Stream& stream) override;
  void nucleus_select(const std::uint64_t* histogram, std::uint32_t* prefix, std::uint64_t* remaining,
                      int pass, float top_p, std::int64_t rows, Stream& stream) override;
  void sample(const float* logits, const SamplingArgs& sampling, const std::uint32_t* smallest_key,
              const std::int32_t* sequence, const std::int32_t* step, std::int64_t first_id,
              float* best_value, std::int32_t* best_id, std::int64_t rows, std::int64_t n_ids,
              Stream& stream) override;
  void choose(const void* best, std::int64_t n_shards, std::int32_t* ids, std::int64_t rows,
              Stream& stream) override;
  void end_step(const std::int32_t* ids, std::int32_t* history, std::int32_t* step, std::int32_t* positions,
                std::int64_t* slots, std::int32_t* own_length, std::int64_t rows, Stream& stream) override;
};

}  // namespace hydrajob::reference
