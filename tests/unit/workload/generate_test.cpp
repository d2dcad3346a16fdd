// What a run of the workload `generate` records.
#include <chrono>
#include <thread>

#include <gtest/gtest.h>

#include "unit/workload/watched.hpp"

namespace hydrajob {
namespace {

TEST(Generate, TotalIsPrefillAndStepsAlone) {
  OneRank rank;
  WorkloadContext context = rank.context();
  context.check_time = [] { std::this_thread::sleep_for(std::chrono::milliseconds(5)); };
  const RunRecord record = record_of(generate_run(3), context);
  const auto prefill = samples_of(record, "prefill");
  const auto steps = samples_of(record, "decode_step");
  const auto total = samples_of(record, "total");
  ASSERT_EQ(total.size(), 2u);
  ASSERT_EQ(steps.size(), 4u);
  for (std::size_t i = 0; i < total.size(); ++i) {
    EXPECT_DOUBLE_EQ(total[i], prefill[i] + steps[2 * i] + steps[2 * i + 1]);
  }
}

TEST(Generate, OneTokenHasNothingToSayOfDecode) {
  OneRank rank;
  const RunRecord record = record_of(generate_run(1), rank.context());
  for (const auto& [name, metric] : record.metrics) EXPECT_EQ(name.find("decode"), std::string::npos) << name;
  EXPECT_EQ(record.metrics.count("roofline_fraction"), 0u);
  EXPECT_EQ(record.metrics.count("paper_tokens_per_s"), 0u);
  EXPECT_GT(record.metrics.at("prefill.median").value, 0);
  EXPECT_GT(record.metrics.at("total.median").value, 0);
  EXPECT_EQ(generate_run(1).cost.iteration.flops, record.metrics.at("flops").value);
}

TEST(Generate, LoadingIsAPhaseOfTheRunThatLoads) {
  OneRank rank;
  const RunRecord first = record_of(generate_run(2), rank.context());
  ASSERT_EQ(samples_of(first, "load").size(), 1u);
  EXPECT_GT(samples_of(first, "load")[0], 0);
  EXPECT_EQ(samples_of(first, "load")[0], first.metrics.at("load_s").value);
  const RunRecord second = record_of(generate_run(3), rank.context());
  EXPECT_TRUE(samples_of(second, "load").empty());
  EXPECT_EQ(second.metrics.at("load_s").value, 0);
}

// Whether the last step read the prefix once for all sequences.
bool auto_shares(std::int64_t batch, std::int64_t prefix) {
  WatchedRank rank;
  rank.device.seconds.assign(100, 1.0);
  PlannedRun run = generate_run(3);
  run.spec.mode = Mode::automatic;
  run.spec.batch = batch;
  run.spec.prefix = prefix;
  run.spec.tree = {{1, prefix}};
  record_of(run, rank.context());
  return rank.kernels.attended.share;
}

TEST(Generate, AutoSharesWhatMovesFewerBytes) {
  EXPECT_TRUE(auto_shares(12, 40));
  EXPECT_FALSE(auto_shares(1, 40));
  EXPECT_FALSE(auto_shares(12, 3));  // partial results would weigh more
}

}  // namespace
}  // namespace hydrajob
