// Workloads on a group of all ranks: every rank's samples come to rank 0, the slowest rank counts.
#include <algorithm>
#include <map>
#include <tuple>

#include <gtest/gtest.h>

#include "mpi/mpi_main.hpp"
#include "unit/workload/watched.hpp"

namespace hydrajob {
namespace {

using test::world;

PlannedRun on_all_ranks(PlannedRun run) {
  run.spec.tensor_parallel = world().size();
  run.spec.warmup = 2;
  run.spec.iterations = run.spec.max_iterations = 7;
  return run;
}

RunRecord record_of_group(const PlannedRun& run) {
  OneRank rank;
  WorkloadContext context = rank.context();
  context.engine.group = &world();
  return record_of(run, context);
}

// iterations x steps samples of each rank, each once.
void expect_samples(const RunRecord& record, const std::string& phase, bool warmup, int iterations,
                    int steps) {
  const SampleSeries series = series_of(record, phase, warmup);
  std::map<std::tuple<std::int32_t, std::int32_t, std::int32_t>, int> seen;
  for (std::size_t i = 0; i < series.value.size(); ++i) {
    ++seen[{series.rank[i], series.iteration[i], series.step[i]}];
    EXPECT_GT(series.value[i], 0) << phase;
  }
  EXPECT_EQ(series.value.size(), seen.size()) << phase;
  EXPECT_EQ(seen.size(), static_cast<std::size_t>(world().size() * iterations * steps)) << phase;
  for (const auto& [place, times] : seen) EXPECT_LT(std::get<0>(place), world().size());
}

// Of the slowest rank in each iteration.
double median_of_slowest(const SampleSeries& series) {
  std::map<std::int32_t, double> slowest;
  for (std::size_t i = 0; i < series.value.size(); ++i) {
    slowest[series.iteration[i]] = std::max(slowest[series.iteration[i]], series.value[i]);
  }
  std::vector<double> sorted;
  for (const auto& [iteration, seconds] : slowest) sorted.push_back(seconds);
  std::sort(sorted.begin(), sorted.end());
  return sorted.at(sorted.size() / 2);  // of an odd number
}

TEST(WorkloadOfAGroup, GenerateHoldsTheSamplesOfEveryRank) {
  const RunRecord record = record_of_group(on_all_ranks(generate_run(3)));
  if (world().rank() != 0) {
    EXPECT_TRUE(record.samples.empty());
    EXPECT_TRUE(record.metrics.empty());
    return;
  }
  expect_samples(record, "load", false, 1, 1);
  for (const bool warmup : {true, false}) {
    const int iterations = warmup ? 2 : 7;
    expect_samples(record, "prefill", warmup, iterations, 1);
    expect_samples(record, "decode_step", warmup, iterations, 2);
    expect_samples(record, "total", warmup, iterations, 1);
  }
  EXPECT_EQ(metric(record, "prefill.median"), median_of_slowest(series_of(record, "prefill", false)));
  EXPECT_EQ(metric(record, "prefill.n"), 7);
  EXPECT_EQ(metric(record, "decode_step.n"), 14);
}

TEST(WorkloadOfAGroup, NeedlesHoldTheSamplesOfEveryRank) {
  PlannedRun run = generate_run(3);
  run.spec.workload = WorkloadKind::needles;
  run.spec.n_needles = 3;
  run.spec.prefix = 20;
  run.spec.tree = {{1, 20}};
  run.spec.suffix = 2;
  const RunRecord record = record_of_group(on_all_ranks(run));
  if (world().rank() != 0) {
    EXPECT_TRUE(record.samples.empty());
    EXPECT_TRUE(record.metrics.empty());
    return;
  }
  expect_samples(record, "prefix_prefill", false, 1, 1);
  expect_samples(record, "unique_prefill", false, 7, 1);
  expect_samples(record, "decode_step", true, 2, 2);
  expect_samples(record, "total", false, 7, 1);
  EXPECT_EQ(metric(record, "total.median"), median_of_slowest(series_of(record, "total", false)));
}

TEST(WorkloadOfAGroup, AttentionHoldsTheSamplesOfEveryRank) {
  PlannedRun run;
  run.spec.workload = WorkloadKind::attention;
  run.spec.batch = 3;
  run.spec.prefix = 20;
  run.spec.tree = {{1, 20}};
  run.spec.suffix = 2;
  run.spec.n_heads = run.spec.n_kv_heads = 2;
  run.spec.head_dim = 8;
  run.spec.l2 = L2State::warm;
  const RunRecord record = record_of_group(on_all_ranks(run));
  if (world().rank() != 0) {
    EXPECT_TRUE(record.samples.empty());
    return;
  }
  expect_samples(record, "attention", true, 2, 1);
  expect_samples(record, "attention", false, 7, 1);
  EXPECT_EQ(metric(record, "attention.median"), median_of_slowest(series_of(record, "attention", false)));
  EXPECT_EQ(metric(record, "attention.n"), 7);
}

}  // namespace
}  // namespace hydrajob

HJ_MPI_TEST_MAIN()
