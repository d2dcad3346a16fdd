// Which run a group takes next.
#include "grid/run_queue.hpp"

#include <numeric>

#include <gtest/gtest.h>

namespace hydrajob {
namespace {

PlannedRun run(int degree, const std::string& model, double predicted_s) {
  PlannedRun planned;
  planned.spec.tensor_parallel = degree;
  planned.spec.architecture.name = model;
  planned.cost.predicted_s = predicted_s;
  return planned;
}

std::vector<std::int64_t> all_of(const Plan& plan) {
  std::vector<std::int64_t> runs(plan.runs.size());
  std::iota(runs.begin(), runs.end(), 0);
  return runs;
}

std::vector<std::int64_t> drain(RunQueue& queue, const Stage& stage, const std::string& loaded) {
  std::vector<std::int64_t> order;
  while (const auto next = queue.take(stage, loaded)) order.push_back(*next);
  return order;
}

TEST(RunQueue, LongestFirstWhateverTheOrderOfThePlan) {
  Plan plan;
  plan.runs = {run(1, "a", 2), run(1, "a", 9), run(1, "a", 5)};
  RunQueue queue(plan, all_of(plan));
  EXPECT_EQ(drain(queue, {1}, ""), (std::vector<std::int64_t>{1, 2, 0}));
  EXPECT_FALSE(queue.next_stage());
}

TEST(RunQueue, LoadedWeightsComeFirst) {
  Plan plan;
  plan.runs = {run(1, "a", 2), run(1, "b", 9), run(1, "a", 5), run(1, "b", 1)};
  RunQueue queue(plan, all_of(plan));
  const std::string a = weights_key(plan.runs[0].spec);
  EXPECT_EQ(queue.take({1}, a), 2);
  EXPECT_EQ(queue.take({1}, ""), 1);  // nothing loaded: the longest of all
  EXPECT_EQ(queue.take({1}, a), 0);
  EXPECT_EQ(queue.take({1}, a), 3);  // none left with these weights
}

TEST(RunQueue, LargestDegreeFirst) {
  Plan plan;
  plan.runs = {run(1, "a", 9), run(4, "a", 1), run(2, "a", 3)};
  RunQueue queue(plan, all_of(plan));
  EXPECT_EQ(queue.next_stage(), Stage{4});
  EXPECT_FALSE(queue.take({8}, ""));
  EXPECT_EQ(queue.take({4}, ""), 1);
  EXPECT_EQ(queue.next_stage(), Stage{2});
}

TEST(RunQueue, RunsThatDoNotFitTheTimeStay) {
  Plan plan;
  plan.runs = {run(1, "a", 100), run(1, "a", 10), run(1, "b", 30), run(1, "b", 20)};
  RunQueue queue(plan, all_of(plan));
  const std::string a = weights_key(plan.runs[0].spec);
  EXPECT_EQ(queue.take({1}, a, 50), 1);  // the loaded weights' next that fits
  EXPECT_EQ(queue.take({1}, a, 25), 3);  // none of theirs fits: another's
  EXPECT_FALSE(queue.take({1}, a, 25));
  EXPECT_EQ(queue.next_stage(), Stage{1});
  EXPECT_EQ(drain(queue, {1}, a), (std::vector<std::int64_t>{0, 2}));
}

TEST(RunQueue, AStageWithoutTimeIsSetAsideAndTheNextGoesOn) {
  Plan plan;
  plan.runs = {run(4, "a", 100), run(4, "a", 90), run(1, "a", 2)};
  RunQueue queue(plan, all_of(plan));
  EXPECT_FALSE(queue.take({4}, "", 50));
  EXPECT_EQ(queue.set_aside({4}), 2);
  EXPECT_EQ(queue.set_aside({4}), 0);
  EXPECT_EQ(queue.next_stage(), Stage{1});
  EXPECT_EQ(queue.take({1}, "", 50), 2);
  EXPECT_FALSE(queue.next_stage());
}

TEST(RunQueue, SuspectsComeLastAndForOneGroupAtATime) {
  Plan plan;
  plan.runs = {run(4, "a", 9), run(1, "a", 5), run(1, "a", 1), run(1, "a", 2)};
  RunQueue queue(plan, all_of(plan), {0, 1, 3});
  EXPECT_EQ(queue.next_stage(), (Stage{1, false}));
  EXPECT_EQ(drain(queue, {1, false}, ""), (std::vector<std::int64_t>{2}));
  EXPECT_EQ(queue.next_stage(), (Stage{4, true}));
  EXPECT_EQ(queue.take({4, true}, ""), 0);
  EXPECT_DOUBLE_EQ(queue.share(4).runs, 2);
  EXPECT_EQ(drain(queue, {1, true}, ""), (std::vector<std::int64_t>{1, 3}));
}

TEST(RunQueue, OnlyPendingRunsAreTaken) {
  Plan plan;
  plan.runs = {run(1, "a", 1), run(1, "a", 2), run(1, "a", 3)};
  RunQueue queue(plan, {1});
  EXPECT_EQ(queue.take({1}, ""), 1);
  EXPECT_FALSE(queue.take({1}, ""));
}

TEST(RunQueue, SharesWhatIsLeftAmongTheGroups) {
  Plan plan;
  plan.runs = {run(1, "a", 8), run(1, "a", 8), run(4, "a", 6), run(8, "a", 1)};
  RunQueue queue(plan, all_of(plan));
  const QueueShare share = queue.share(8);  // eight groups of one, two of four, one of eight
  EXPECT_DOUBLE_EQ(share.predicted_s, 16.0 / 8 + 6.0 / 2 + 1.0);
  EXPECT_DOUBLE_EQ(share.runs, 2.0 / 8 + 1.0 / 2 + 1.0);
  queue.take({4}, "");
  EXPECT_DOUBLE_EQ(queue.share(8).predicted_s, 16.0 / 8 + 1.0);
}

TEST(WeightsKey, SameForRunsThatShareAModel) {
  RunSpec a, b;
  a.architecture.name = b.architecture.name = "m";
  a.batch = 1;
  b.batch = 64;
  EXPECT_EQ(weights_key(a), weights_key(b));
  b.seed = a.seed + 1;  // random weights are the seed's
  EXPECT_NE(weights_key(a), weights_key(b));
  a.weights = b.weights = "m.h5";  // a file's are not
  EXPECT_EQ(weights_key(a), weights_key(b));
  b.dtype = DType::f32;
  EXPECT_NE(weights_key(a), weights_key(b));
  a.workload = WorkloadKind::attention;
  EXPECT_EQ(weights_key(a), "");
}

}  // namespace
}  // namespace hydrajob
