// The kernels on a CUDA GPU: matrix products through cuBLASLt, everything else our own. Everything is
// launched into the stream it is given and nothing waits, so that CUDA graphs may hold it.
#pragma once

#include <cstddef>
#include <cstdint>
#include <memory>

#include "kernels/cuda/attention_plan.hpp"
#include "kernels/cuda/linear.hpp"
#include "kernels/kernels.hpp"

namespace hydrajob::cuda {

class CudaKernels final : public Kernels {
 public:
  // The device outlives the kernels.
  explicit CudaKernels(Device& device);

  std::map<std::string, std::string> libraries() const override;

  void embed(const std::int32_t* ids, const void* table, std::int64_t first_id, std::int64_t n_ids,
             float* residual, std::int64_t rows, std::int64_t hidden, DType dtype, Stream& stream) override;
  void add_rmsnorm(float* residual, const PartialSums& added, const void* weight, void* out,
                   std::int64_t rows, std::int64_t hidden, float eps, DType dtype, Stream& stream) override;
  std::unique_ptr<PackedWeight> pack(const void* weight, WeightLayout layout, std::int64_t out,
                                     std::int64_t in, std::int64_t expected_rows, DType dtype) override;
  UnfilledWeight allocate_weight(WeightLayout layout, std::int64_t out, std::int64_t in,
                                 DType dtype) override;
  void linear(const void* x, const PackedWeight& weight, void* y, DType y_dtype, std::int64_t rows,
              DType dtype, Stream& stream) override;
  void add_linear(const void* x, const PackedWeight& weight, float* y, std::int64_t rows, DType dtype,
                  Stream& stream) override;
  void tune_linear(const void* x, std::span<const PackedWeight* const> weights, void* y, DType y_dtype,
                   std::int64_t rows, DType dtype, Stream& stream) override;
  bool fill_seeded(const SeededPart& part, void* target, DType dtype, Stream& stream) override;
  std::unique_ptr<PackedWeight> pack_seeded(std::span<const SeededPart> parts, WeightLayout layout,
                                            std::int64_t out, std::int64_t in, std::int64_t expected_rows,
                                            DType dtype) override;
  void rope_and_cache(const void* qkv, const std::int32_t* positions, const std::int64_t* slots,
                      const float* cosine, const float* sine, void* q_out, const KvView& kv,
                      std::int64_t rows, std::int64_t n_heads, std::int64_t n_kv_heads, std::int64_t head_dim,
                      DType dtype, Stream& stream) override;
  std::unique_ptr<AttentionPlan> plan_attention(const AttentionArgs& args, std::int32_t growth) override;
  AttentionCuts attention_cuts() const override { return cuda::attention_cuts(processors_); }
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

 private:
  bool tiles_by_hopper(const AttentionArgs& args) const;
  void attend_by_tensor_cores(const CudaAttentionPlan& work, const WorkArgs& args, DType dtype,
                              bool by_hopper, cudaStream_t queue) const;

  Device& device_;
  Processors processors_;
  bool has_hopper_ = false;  // has the GPU, and this build its kernels
  Linear linear_;
};

}  // namespace hydrajob::cuda
