// What configs/machines/h200.yaml predicts for one and two GPUs, against what was measured there. Its
// efficiency was fitted to the first store alone; nothing in it was fitted to the runs on two.
#include <cmath>
#include <filesystem>
#include <iostream>
#include <map>
#include <string>
#include <vector>

#include <fmt/format.h>
#include <gtest/gtest.h>

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
  for (const char* name : {"tensor_parallel", "model", "mode", "batch", "prefix", "new_tokens"}) {
    text += fmt::format("{}{}", text.empty() ? "" : " ", to_string(p.at(name)));
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
  ASSERT_EQ(found.steps.size(), 18u);
  expect_within(found.steps, 0.12);
  std::vector<Comparison> whole = found.prefills;
  std::erase_if(whole, [](const Comparison& c) { return !c.run.ends_with(" 1"); });
  ASSERT_EQ(whole.size(), 5u);
  expect_within(whole, 0.15);
}

// The memory of each run, as it was planned with the ceilings that were measured, within 0.5 %.
TEST(Prediction, OfMemoryIsAsPlannedThere) {
  const auto records = records_of("bench/results/e2e-h200.h5");
  const Plan plan = plan_on("h200", load_experiment(source_path("configs/e2e-one-gpu.yaml"), {}), 1);
  ASSERT_EQ(plan.runs.size(), records.size());
  for (const PlannedRun& run : plan.runs) {
    const std::string point = point_of(run.spec.parameters);
    const double planned = metric(records.at(point), "memory_planned_bytes");
    EXPECT_NEAR(run.cost.memory.total() / planned, 1, 0.005) << point;
  }
}

TEST(Prediction, OfTwoGpusIsAsMeasured) {
  const std::string store = "bench/results/e2e-two-h200.h5";
  if (!std::filesystem::exists(source_path(store))) GTEST_SKIP() << store << " is not there";
  const Comparisons found = compare("configs/e2e-two-gpus.yaml", store, 2);
  ASSERT_EQ(found.steps.size(), 12u);
  expect_within(found.steps, 0.2);
  expect_within(found.prefills, 0.2);
}

}  // namespace
}  // namespace hydrajob
