// What configs/machines/h200.yaml predicts for one and two GPUs, against what was measured there. Its
// efficiency was fitted to the first store alone; nothing in it was fitted to the runs on two.
#include <algorithm>
#include <cmath>
#include <cstddef>
#include <filesystem>
#include <iostream>
#include <map>
#include <string>
#include <vector>

#include <fmt/format.h>
#include <gtest/gtest.h>

#include "grid/schedule_simulation.hpp"
#include "store/store_file.hpp"
#include "unit/scale/machines.hpp"

namespace hydrajob {
namespace {

double metric(const RunRecord& record, const std::string& name) {
  const auto found = record.metrics.find(name);
  return found == record.metrics.end() ? NAN : found->second.value;
}

struct Comparison {
  std::string run;
  double measured_s = 0;
  double predicted_s = 0;
  double error() const { return predicted_s / measured_s - 1; }
};

struct Comparisons {
  std::vector<Comparison> steps, prefills;
};

std::string point_of(const Parameters& p) {
  std::string text;
  for (const char* name : {"tensor_parallel", "model", "mode", "n_heads", "n_kv_heads", "batch", "prefix",
                           "suffix", "new_tokens"}) {
    if (p.contains(name)) text += fmt::format("{}{}", text.empty() ? "" : " ", to_string(p.at(name)));
  }
  return text;
}

std::map<std::string, RunRecord> records_of(const std::string& store) {
  std::map<std::string, RunRecord> records;
  for (RunRecord& record : read_store_file(source_path(store))) {
    if (record.status == RunStatus::ok) records.emplace(point_of(record.parameters), record);
  }
  return records;
}

// Every run of the configuration that the store has.
Comparisons compare(const std::string& config, const std::string& store, int ranks) {
  const auto records = records_of(store);
  Comparisons found;
  const Plan plan = plan_on("h200", load_experiment(source_path(config), {}), ranks);
  for (const PlannedRun& run : plan.runs) {
    const std::string point = point_of(run.spec.parameters);
    const auto record = records.find(point);
    if (record == records.end()) continue;
    const double prefill_s = metric(record->second, "prefill.median");
    found.prefills.push_back({point, prefill_s, run.cost.prefill.predicted_s});
    if (run.spec.new_tokens == 1) continue;
    const double step_s =
        metric(record->second, "decode.median") / static_cast<double>(run.spec.new_tokens - 1);
    found.steps.push_back({point, step_s, run.cost.decode_step.predicted_s});
  }
  return found;
}

void expect_within(const std::vector<Comparison>& comparisons, double tolerance) {
  for (const Comparison& c : comparisons) {
    std::cout << fmt::format("{:60} measured {:8.3f} ms, predicted {:8.3f} ms, {:+5.1f} %\n", c.run,
                             1e3 * c.measured_s, 1e3 * c.predicted_s, 100 * c.error());
    EXPECT_LT(std::abs(c.error()), tolerance) << c.run;
  }
}

TEST(Prediction, OfOneGpuIsAsMeasured) {
  const Comparisons found = compare("configs/e2e-one-gpu.yaml", "bench/results/e2e-h200.h5", 1);
  ASSERT_GE(found.steps.size(), 18u);
  expect_within(found.steps, 0.12);
  std::vector<Comparison> whole = found.prefills;
  std::erase_if(whole, [](const Comparison& c) { return !c.run.ends_with(" 1"); });
  ASSERT_GE(whole.size(), 5u);
  expect_within(whole, 0.15);
}

// The memory of each run, as it was planned with the ceilings that were measured, within 1 %.
TEST(Prediction, OfMemoryIsAsPlannedThere) {
  const auto records = records_of("bench/results/e2e-h200.h5");
  const Plan plan = plan_on("h200", load_experiment(source_path("configs/e2e-one-gpu.yaml"), {}), 1);
  ASSERT_EQ(plan.runs.size(), records.size());
  for (const PlannedRun& run : plan.runs) {
    const std::string point = point_of(run.spec.parameters);
    const double planned = metric(records.at(point), "memory_planned_bytes");
    EXPECT_NEAR(run.cost.memory.total() / planned, 1, 0.01) << point;
  }
}

// From the first run's start to the last one's end.
Comparison compare_sweep(const std::string& config, const std::string& store, int ranks) {
  double begin = INFINITY, end = 0;
  for (const auto& [point, record] : records_of(store)) {
    begin = std::min(begin, record.started_unix_s);
    end = std::max(end, record.finished_unix_s);
  }
  const Plan plan = plan_on("h200", load_experiment(source_path(config), {}), ranks);
  return {store, end - begin, simulate_schedule(plan, ranks).makespan_s()};
}

TEST(Prediction, OfASweepOnOneGpuIsAsMeasured) {
  expect_within({compare_sweep("configs/e2e-one-gpu.yaml", "bench/results/e2e-h200.h5", 1)}, 0.1);
}

TEST(Prediction, OfAttentionAloneIsAsMeasured) {
  const auto records = records_of("bench/results/attention-h200.h5");
  const Plan plan = plan_on("h200", load_experiment(source_path("configs/attention-one-gpu.yaml"), {}), 1);
  std::vector<Comparison> found;
  for (const PlannedRun& run : plan.runs) {
    const std::string point = point_of(run.spec.parameters);
    const auto record = records.find(point);
    if (record == records.end()) continue;
    found.push_back({point, metric(record->second, "attention.median"), run.cost.decode_step.predicted_s});
  }
  ASSERT_GE(found.size(), 58u);
  expect_within(found, 0.4);
  const auto close =
      std::count_if(found.begin(), found.end(), [](const auto& c) { return std::abs(c.error()) < 0.25; });
  EXPECT_GT(close, static_cast<std::ptrdiff_t>(found.size() * 9 / 10));
}

constexpr const char* two_gpus = "bench/results/e2e-two-h200.h5";

TEST(Prediction, OfASweepOnTwoGpusIsAsMeasured) {
  if (!std::filesystem::exists(source_path(two_gpus))) GTEST_SKIP() << two_gpus << " is not there";
  expect_within({compare_sweep("configs/e2e-two-gpus.yaml", two_gpus, 2)}, 0.1);
}

TEST(Prediction, OfTwoGpusIsAsMeasured) {
  if (!std::filesystem::exists(source_path(two_gpus))) GTEST_SKIP() << two_gpus << " is not there";
  const Comparisons found = compare("configs/e2e-two-gpus.yaml", two_gpus, 2);
  ASSERT_GE(found.steps.size(), 12u);
  expect_within(found.steps, 0.2);
  expect_within(found.prefills, 0.2);
}

}  // namespace
}  // namespace hydrajob
