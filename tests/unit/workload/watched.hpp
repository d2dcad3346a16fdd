// A rank whose clock is a script and whose work is written down in order: what a run records is then known to
// the last bit, and so is what stands inside its intervals.
#pragma once

#include <algorithm>
#include <cstdlib>
#include <iostream>
#include <map>
#include <memory>
#include <optional>
#include <random>
#include <string>
#include <utility>
#include <vector>

#include <gtest/gtest.h>

#include "base/error.hpp"
#include "unit/forwarding_device.hpp"
#include "unit/workload/support.hpp"

namespace hydrajob {

// Fresh with every run of the program; HJ_TEST_SEED repeats one.
inline std::uint64_t test_seed() {
  static const std::uint64_t value = [] {
    const char* given = std::getenv("HJ_TEST_SEED");
    const std::uint64_t seed = given != nullptr ? std::strtoull(given, nullptr, 10) : std::random_device{}();
    std::cout << "HJ_TEST_SEED=" << seed << std::endl;
    return seed;
  }();
  return value;
}

// What happened, in order: "mark", "check", or the name of a function of the device or the kernels.
using Events = std::vector<std::string>;

inline std::int64_t count(const Events& events, const std::string& name) {
  return std::count(events.begin(), events.end(), name);
}

// Phases here do not nest: of two marks the first begins an interval, the second ends it.
inline std::int64_t count_inside(const Events& events, const std::string& name) {
  bool inside = false;
  std::int64_t n = 0;
  for (const std::string& event : events) {
    if (event == "mark") inside = !inside;
    if (inside && event == name) ++n;
  }
  return n;
}

class WatchedDevice final : public ForwardingDevice {
 public:
  explicit WatchedDevice(Events& events) : events_(events) {}

  // Of each interval, in order: what the device says it took.
  std::vector<double> seconds;
  // Of each reading, in order; none: the device does not tell. Its marks were those of the intervals `read`.
  std::vector<DeviceCondition> conditions;
  std::vector<std::size_t> read;

  void copy_on_device(void* target, const void* source, std::size_t bytes) override {
    events_.push_back("copy_on_device");
    ForwardingDevice::copy_on_device(target, source, bytes);
  }
  std::unique_ptr<Mark> mark() override {
    events_.push_back("mark");
    return std::make_unique<NumberedMark>(marks_++);
  }
  void wait_for(const Mark&) override {}
  double seconds_between(const Mark& begin, const Mark& end) const override {
    const std::size_t first = static_cast<const NumberedMark&>(begin).number;
    EXPECT_EQ(static_cast<const NumberedMark&>(end).number, first + 1);
    return seconds.at(first / 2);
  }
  std::optional<DeviceCondition> condition_after(const Mark& mark) override {
    if (conditions.empty()) return std::nullopt;
    events_.push_back("condition");
    const std::size_t number = static_cast<const NumberedMark&>(mark).number;
    EXPECT_EQ(number % 2, 0u) << "not the beginning of an interval";
    EXPECT_LE(2 * (number / 2) + 1, marks_ - 1) << "read before its work was launched";
    read.push_back(number / 2);
    return conditions.at(read.size() - 1);
  }

 private:
  struct NumberedMark final : Mark {
    explicit NumberedMark(std::size_t n) : number(n) {}
    std::size_t number;
  };
  Events& events_;
  std::size_t marks_ = 0;
};

// The reference's kernels; attention and the reading of a row's maximum are written down.
class WatchedKernels final : public Kernels {
 public:
  explicit WatchedKernels(Events& events) : events_(events) {}

  AttentionArgs attended;          // of the last attention; its arrays belong to the workload
  std::int64_t row_max_bytes = 0;  // read by the last row_max

  void embed(const std::int32_t* ids, const void* table, std::int64_t first_id, std::int64_t n_ids,
             float* residual, std::int64_t rows, std::int64_t hidden, DType dtype, Stream& stream) override {
    kernels_->embed(ids, table, first_id, n_ids, residual, rows, hidden, dtype, stream);
  }
  void add_rmsnorm(float* residual, const PartialSums& added, const void* weight, void* out,
                   std::int64_t rows, std::int64_t hidden, float eps, DType dtype, Stream& stream) override {
    kernels_->add_rmsnorm(residual, added, weight, out, rows, hidden, eps, dtype, stream);
  }
  std::unique_ptr<PackedWeight> pack(const void* weight, WeightLayout layout, std::int64_t out,
                                     std::int64_t in, std::int64_t expected_rows, DType dtype) override {
    return kernels_->pack(weight, layout, out, in, expected_rows, dtype);
  }
  void linear(const void* x, const PackedWeight& weight, void* y, DType y_dtype, std::int64_t rows,
              DType dtype, Stream& stream) override {
    kernels_->linear(x, weight, y, y_dtype, rows, dtype, stream);
  }
  void add_linear(const void* x, const PackedWeight& weight, float* y, std::int64_t rows, DType dtype,
                  Stream& stream) override {
    kernels_->add_linear(x, weight, y, rows, dtype, stream);
  }
  void rope_and_cache(const void* qkv, const std::int32_t* positions, const std::int64_t* slots,
                      const float* cosine, const float* sine, void* q_out, const KvView& kv,
                      std::int64_t rows, std::int64_t n_heads, std::int64_t n_kv_heads, std::int64_t head_dim,
                      DType dtype, Stream& stream) override {
    kernels_->rope_and_cache(qkv, positions, slots, cosine, sine, q_out, kv, rows, n_heads, n_kv_heads,
                             head_dim, dtype, stream);
  }
  std::unique_ptr<AttentionPlan> plan_attention(const AttentionArgs& args, std::int32_t growth) override {
    return kernels_->plan_attention(args, growth);
  }
  void attention(const AttentionPlan& plan, const AttentionArgs& args, Stream& stream) override {
    events_.push_back("attention");
    attended = args;
    kernels_->attention(plan, args, stream);
  }
  void swiglu(const void* gate_up, void* out, std::int64_t rows, std::int64_t width, DType dtype,
              Stream& stream) override {
    kernels_->swiglu(gate_up, out, rows, width, dtype, stream);
  }
  void row_max(const float* logits, float* maximum, std::int64_t rows, std::int64_t n_ids,
               Stream& stream) override {
    events_.push_back("row_max");
    row_max_bytes = rows * n_ids * static_cast<std::int64_t>(sizeof(float));
    kernels_->row_max(logits, maximum, rows, n_ids, stream);
  }
  void nucleus_histogram(const float* logits, const float* maximum, const std::uint32_t* prefix, int pass,
                         float temperature, std::uint64_t* histogram, std::int64_t rows, std::int64_t n_ids,
                         Stream& stream) override {
    kernels_->nucleus_histogram(logits, maximum, prefix, pass, temperature, histogram, rows, n_ids, stream);
  }
  void nucleus_select(const std::uint64_t* histogram, std::uint32_t* prefix, std::uint64_t* remaining,
                      int pass, float top_p, std::int64_t rows, Stream& stream) override {
    kernels_->nucleus_select(histogram, prefix, remaining, pass, top_p, rows, stream);
  }
  void choose(const void* best, std::int64_t n_shards, std::int32_t* ids, std::int64_t rows,
              Stream& stream) override {
    kernels_->choose(best, n_shards, ids, rows, stream);
  }
  void end_step(const std::int32_t* ids, std::int32_t* history, std::int32_t* step, std::int32_t* positions,
                std::int64_t* slots, std::int32_t* own_length, std::int64_t rows, Stream& stream) override {
    kernels_->end_step(ids, history, step, positions, slots, own_length, rows, stream);
  }
  void sample(const float* logits, const SamplingArgs& sampling, const std::uint32_t* smallest_key,
              const std::int32_t* sequence, const std::int32_t* step, std::int64_t first_id,
              float* best_value, std::int32_t* best_id, std::int64_t rows, std::int64_t n_ids,
              Stream& stream) override {
    kernels_->sample(logits, sampling, smallest_key, sequence, step, first_id, best_value, best_id, rows,
                     n_ids, stream);
  }

 private:
  std::unique_ptr<Kernels> kernels_ = make_reference_kernels();
  Events& events_;
};

struct WatchedRank {
  Events events;
  WatchedDevice device{events};
  WatchedKernels kernels{events};
  std::unique_ptr<Communicator> self = make_self_communicator();
  ModelCache models;
  std::int64_t checks_until_limit = -1;  // TimeLimit at the check after so many; negative: never

  WorkloadContext context() {
    WorkloadContext context;
    context.engine = {&device, &kernels, self.get()};
    context.models = &models;
    context.ceilings = {2e9, 3e9, 0, "test"};
    context.check_time = [this] {
      if (checks_until_limit == count(events, "check")) throw TimeLimit("passed its time limit");
      events.push_back("check");
    };
    return context;
  }
};

// Intervals of random lengths between 1 s and 2 s.
inline std::vector<double> random_seconds(std::size_t n, std::mt19937_64& random) {
  std::vector<double> seconds(n);
  for (double& s : seconds) s = std::uniform_real_distribution<double>(1, 2)(random);
  return seconds;
}

// The series of a phase; an empty one where the record has none.
inline SampleSeries series_of(const RunRecord& record, const std::string& phase, bool warmup) {
  for (const SampleSeries& s : record.samples) {
    if (s.phase == phase && s.warmup == warmup) return s;
  }
  return {};
}

inline double metric(const RunRecord& record, const std::string& name) {
  return record.metrics.at(name).value;
}

}  // namespace hydrajob
