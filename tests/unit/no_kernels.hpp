// Kernels that compute nothing: tests change what they look at.
#pragma once

#include <cstdint>
#include <memory>

#include "kernels/kernels.hpp"

namespace hydrajob::test {

class NoKernels : public Kernels {
 public:
  std::unique_ptr<PackedWeight> pack(const void*, WeightLayout, std::int64_t, std::int64_t, std::int64_t,
                                     DType) override {
    return nullptr;
  }
  void embed(const std::int32_t*, const void*, std::int64_t, std::int64_t, float*, std::int64_t, std::int64_t,
             DType, Stream&) override {}
  void add_rmsnorm(float*, const PartialSums&, const void*, void*, std::int64_t, std::int64_t, float, DType,
                   Stream&) override {}
  void linear(const void*, const PackedWeight&, void*, DType, std::int64_t, DType, Stream&) override {}
  void add_linear(const void*, const PackedWeight&, float*, std::int64_t, DType, Stream&) override {}
  void rope_and_cache(const void*, const std::int32_t*, const std::int64_t*, const float*, const float*,
                      void*, const KvView&, std::int64_t, std::int64_t, std::int64_t, std::int64_t, DType,
                      Stream&) override {}
  std::unique_ptr<AttentionPlan> plan_attention(const AttentionArgs&, std::int32_t) override {
    return nullptr;
  }
  void attention(const AttentionPlan&, const AttentionArgs&, Stream&) override {}
  void swiglu(const void*, void*, std::int64_t, std::int64_t, DType, Stream&) override {}
  void row_max(const float*, float*, std::int64_t, std::int64_t, Stream&) override {}
  void nucleus_histogram(const float*, const float*, const std::uint32_t*, int, float, std::uint64_t*,
                         std::int64_t, std::int64_t, Stream&) override {}
  void nucleus_select(const std::uint64_t*, std::uint32_t*, std::uint64_t*, int, float, std::int64_t,
                      Stream&) override {}
  void sample(const float*, const SamplingArgs&, const std::uint32_t*, const std::int32_t*,
              const std::int32_t*, std::int64_t, float*, std::int32_t*, std::int64_t, std::int64_t,
              Stream&) override {}
  void choose(const void*, std::int64_t, std::int32_t*, std::int64_t, Stream&) override {}
  void end_step(const std::int32_t*, std::int32_t*, std::int32_t*, std::int32_t*, std::int64_t*,
                std::int32_t*, std::int64_t, Stream&) override {}
};

}  // namespace hydrajob::test
