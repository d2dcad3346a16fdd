// How often a run is repeated, by the convergence rule: on a clock that says what each interval took.
#include <gtest/gtest.h>

#include "unit/workload/watched.hpp"

namespace hydrajob {
namespace {

PlannedRun repeated_run(std::int64_t new_tokens, int iterations, int max_iterations, double target_ci) {
  PlannedRun run = generate_run(new_tokens);
  run.spec.warmup = 1;
  run.spec.iterations = iterations;
  run.spec.max_iterations = max_iterations;
  run.spec.target_ci = target_ci;
  return run;
}

// One token a sequence: prefill decides. Warm-up (and loading, before it) take 100 s, then come `prefills`.
RunRecord record_of_prefills(const PlannedRun& run, const std::vector<double>& prefills) {
  WatchedRank rank;
  rank.device.seconds = {100, 100};
  rank.device.seconds.insert(rank.device.seconds.end(), prefills.begin(), prefills.end());
  return record_of(run, rank.context());
}

// The first is slow. Of 6, 7 and 8 samples the interval is all of them; of 9 it leaves out the largest.
std::vector<double> one_slow(double slow) {
  std::vector<double> seconds(40, 1.0);
  seconds[0] = slow;
  return seconds;
}

TEST(Convergence, EndsTheRunAsSoonAsTheIntervalIsNarrow) {
  const RunRecord record = record_of_prefills(repeated_run(1, 6, 40, 0.05), one_slow(5));
  EXPECT_EQ(metric(record, "prefill.n"), 9);
  EXPECT_EQ(metric(record, "converged"), 1);
  EXPECT_EQ(record.convergence, "interval ±0 % of the median after 9");
  EXPECT_EQ(series_of(record, "prefill", true).value, std::vector<double>{100});
  EXPECT_EQ(series_of(record, "prefill", false).iteration,
            (std::vector<std::int32_t>{0, 1, 2, 3, 4, 5, 6, 7, 8}));
}

TEST(Convergence, IsWithinTheTargetAndNoNearer) {
  EXPECT_EQ(metric(record_of_prefills(repeated_run(1, 6, 40, 0.05), one_slow(1.04)), "prefill.n"), 6);
  EXPECT_EQ(metric(record_of_prefills(repeated_run(1, 6, 40, 0.03), one_slow(1.04)), "prefill.n"), 9);
}

TEST(Convergence, IterationsAreDoneHoweverSoonItConverges) {
  EXPECT_EQ(metric(record_of_prefills(repeated_run(1, 11, 40, 0.05), one_slow(1)), "prefill.n"), 11);
}

TEST(Convergence, MaxIterationsEndARunThatDoesNotConverge) {
  std::vector<double> seconds;
  for (int i = 0; i < 40; ++i) seconds.push_back(1 + i % 2);
  const RunRecord record = record_of_prefills(repeated_run(1, 6, 12, 0.05), seconds);
  EXPECT_EQ(metric(record, "prefill.n"), 12);
  EXPECT_EQ(metric(record, "converged"), 0);
  EXPECT_EQ(record.convergence, "±33 % after 12, asked ±5 %");  // half of 1 around 1.5
}

TEST(Convergence, FewSamplesNeverConverge) {
  const RunRecord record = record_of_prefills(repeated_run(1, 3, 5, 0.5), one_slow(1));
  EXPECT_EQ(metric(record, "prefill.n"), 5);
  EXPECT_EQ(metric(record, "converged"), 0);
  EXPECT_EQ(record.convergence, "fewer than 6 samples");
  EXPECT_EQ(record.metrics.count("prefill.ci_lo"), 0u);
}

// Steps of 1 s and 3 s, in turn: their sum is 4 s in every iteration, whatever prefill takes.
TEST(Convergence, DecodeStepsOfAnIterationDecideTogether) {
  WatchedRank rank;
  std::mt19937_64 random(test_seed());
  rank.device.seconds = {100};
  for (int i = 0; i < 41; ++i) {
    const double first = i % 2 == 0 ? 1 : 3;
    rank.device.seconds.insert(rank.device.seconds.end(), {random_seconds(1, random)[0], first, 4 - first});
  }
  const RunRecord record = record_of(repeated_run(3, 6, 40, 0.01), rank.context());
  EXPECT_EQ(metric(record, "decode.n"), 6);
  EXPECT_EQ(metric(record, "decode_step.n"), 12);
  EXPECT_EQ(metric(record, "converged"), 1);
}

}  // namespace
}  // namespace hydrajob
