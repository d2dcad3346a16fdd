// The kernels on the CPU: matrix products through oneDNN, everything else our own, vectorised for the
// processor at run time and threaded with OpenMP. One caller at a time.
#pragma once

#include <cstddef>
#include <cstdint>
#include <memory>
#include <vector>

#include "device/host_memory.hpp"
#include "kernels/cpu/row_kernels.hpp"
#include "kernels/kernels.hpp"

namespace hydrajob::cpu {

class OneDnn;

class CpuKernels final : public Kernels {
 public:
  // Sets OpenMP's number of threads for the calling thread, which oneDNN takes too.
  explicit CpuKernels(int threads);
  ~CpuKernels() override;

  void embed(const std::int32_t* ids, const void* table, std::int64_t first_id, std::int64_t n_ids,
             float* residual, std::int64_t rows, std::int64_t hidden, DType dtype, Stream& stream) override;
  void add_rmsnorm(float* residual, const PartialSums& added, const void* weight, void* out,
                   std::int64_t rows, std::int64_t hidden, float eps, DType dtype, Stream& stream) override;
  std::unique_ptr<PackedWeight> pack(const void* weight, WeightLayout layout, std::int64_t out,
                                     std::int64_t in, std::int64_t expected_rows, DType dtype) override;
  std::map<std::string, std::string> libraries() const override;
  void add_linear(const void* x, const PackedWeight& weight, float* y, std::int64_t rows, DType dtype,
                  Stream& stream) override;
  void linear(const void* x, const PackedWeight& weight, void* y, DType y_dtype, std::int64_t rows,
              DType dtype, Stream& stream) override;
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

 private:
  // (rows, columns) as f32, until the next call.
  const float* widen(const void* x, DType dtype, std::int64_t rows, std::int64_t columns) const;
  void convert_to_f32(const void* source, DType dtype, float* target, std::int64_t rows,
                      std::int64_t columns) const;
  void convert_from_f32(const float* source, void* target, DType dtype, std::int64_t rows,
                        std::int64_t columns) const;

  int threads_;
  const RowKernels& rows_;
  std::unique_ptr<OneDnn> onednn_;
  std::vector<Candidate> candidates_;  // (rows, pieces of the vocabulary), kept between calls
};

}  // namespace hydrajob::cpu
