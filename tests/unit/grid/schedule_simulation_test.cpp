// Schedules worked out by hand, and what holds for any.
#include "grid/schedule_simulation.hpp"

#include <algorithm>
#include <cmath>
#include <random>
#include <string>

#include <gtest/gtest.h>

namespace hydrajob {
namespace {

PlannedRun run(int degree, double predicted_s, const std::string& model = "a", double load_s = 0) {
  PlannedRun planned;
  planned.spec.tensor_parallel = degree;
  planned.spec.architecture.name = model;
  planned.cost.predicted_s = predicted_s;
  planned.cost.load_s = load_s;
  return planned;
}

TEST(Schedule, GroupsTakeTheLongestRunWhenTheyAreFree) {
  Plan plan;
  plan.runs = {run(1, 5), run(1, 4), run(1, 3), run(1, 3)};
  // 5, 3 and 4, 3.
  SimulatedSchedule s = simulate_schedule(plan, 2);
  ASSERT_EQ(s.stages.size(), 1u);
  EXPECT_EQ(s.stages[0].groups, 2);
  EXPECT_EQ(s.stages[0].runs, 4);
  EXPECT_EQ(s.makespan_s(), 8);
  EXPECT_EQ(s.stages[0].longest_s, 5);
  EXPECT_EQ(s.one_group_s(), 15);
  EXPECT_DOUBLE_EQ(s.idle_share(), 1.0 / 16);
  EXPECT_EQ(simulate_schedule(plan, 1).makespan_s(), 15);
  EXPECT_EQ(simulate_schedule(plan, 1).idle_share(), 0);
  EXPECT_EQ(simulate_schedule(plan, 7).makespan_s(), 5);
  EXPECT_DOUBLE_EQ(simulate_schedule(plan, 7).idle_share(), 1 - 15.0 / 35);
}

// Degrees one after another, ranks that are too few for a group idle: 7 ranks are 1 group of 4, 3 of 2, 7
// of 1.
TEST(Schedule, StagesFollowOneAnotherWhateverRanksAreLeft) {
  Plan plan;
  plan.runs = {run(4, 2), run(4, 1), run(2, 6), run(2, 5), run(2, 4), run(2, 3), run(1, 1)};
  const SimulatedSchedule s = simulate_schedule(plan, 7);
  ASSERT_EQ(s.stages.size(), 3u);
  EXPECT_EQ(s.stages[0].degree, 4);
  EXPECT_EQ(s.stages[0].groups, 1);
  EXPECT_EQ(s.stages[0].makespan_s, 3);
  EXPECT_EQ(s.stages[1].groups, 3);
  EXPECT_EQ(s.stages[1].makespan_s, 7);  // 6; 5; 4, 3
  EXPECT_EQ(s.stages[1].busy_s, 18);
  EXPECT_EQ(s.stages[2].groups, 7);
  EXPECT_EQ(s.makespan_s(), 3 + 7 + 1);
  EXPECT_DOUBLE_EQ(s.idle_share(), 1 - (3.0 * 4 + 18 * 2 + 1) / (7 * 11));
}

// Two groups, weights a: 9 s and 1 s, 2 s to load, and b: 5 s and 4 s, 1 s to load. The second begins with b,
// keeps it, is free at 10 s, the first only at 11 s, and so loads a for the last run.
TEST(Schedule, GroupsKeepWhatTheyHaveLoaded) {
  Plan plan;
  plan.runs = {run(1, 9, "a", 2), run(1, 1, "a", 2), run(1, 5, "b", 1), run(1, 4, "b", 1)};
  SimulatedSchedule s = simulate_schedule(plan, 2);
  EXPECT_EQ(s.stages[0].busy_s, 19 + 2 + 1 + 2);
  EXPECT_EQ(s.makespan_s(), 13);
  EXPECT_EQ(s.stages[0].longest_s, 11);
  EXPECT_EQ(s.one_group_s(), 19 + 2 + 1);
  plan.runs[1] = run(1, 1, "b", 1);
  s = simulate_schedule(plan, 2);
  EXPECT_EQ(s.makespan_s(), 11);
  EXPECT_EQ(s.stages[0].busy_s, 19 + 2 + 1);
}

TEST(Schedule, SkippedRunsTakeNoTimeAndUnknownRanksAreOneGroup) {
  Plan plan;
  plan.runs = {run(2, 3), run(2, 2), run(2, 50)};
  plan.runs[2].skip_reason = "needs more";
  const SimulatedSchedule s = simulate_schedule(plan, 0);
  EXPECT_EQ(s.stages[0].groups, 1);
  EXPECT_EQ(s.makespan_s(), 5);
  EXPECT_EQ(s.idle_share(), 0);
  plan.runs.resize(0);
  EXPECT_EQ(simulate_schedule(plan, 8).makespan_s(), 0);
  EXPECT_EQ(simulate_schedule(plan, 8).idle_share(), 0);
}

// Graham's bounds of list scheduling (1966, 1969): no schedule is shorter than the longest run or the groups'
// mean; one whose groups never wait while there are runs takes at most the mean and (1 - 1 / groups) of the
// longest run more.
TEST(Schedule, IsWithinGrahamsBounds) {
  const auto seed = std::random_device{}();
  SCOPED_TRACE("seed " + std::to_string(seed));
  std::mt19937 random(seed);
  for (int repetition = 0; repetition < 300; ++repetition) {
    const int degree = 1 << (random() % 4);
    const int ranks = degree + static_cast<int>(random() % 200);
    Plan plan;
    const int runs = 1 + static_cast<int>(random() % 100);
    for (int i = 0; i < runs; ++i) {
      plan.runs.push_back(run(degree, std::exp(std::uniform_real_distribution<>(-3, 3)(random))));
    }
    const SimulatedSchedule s = simulate_schedule(plan, ranks);
    ASSERT_EQ(s.stages.size(), 1u);
    const SimulatedStage& stage = s.stages[0];
    const auto groups = static_cast<double>(stage.groups);
    EXPECT_EQ(stage.groups, ranks / degree);
    EXPECT_EQ(stage.runs, runs);
    const double total = stage.one_group_s, longest = stage.longest_s;
    const double least = std::max(longest, total / groups);
    EXPECT_GE(stage.makespan_s, least * (1 - 1e-12));
    EXPECT_LE(stage.makespan_s, (total / groups + longest * (1 - 1 / groups)) * (1 + 1e-12));
    EXPECT_NEAR(stage.busy_s, total, 1e-9 * total);
    EXPECT_GE(s.idle_share(), -1e-12);
    EXPECT_LT(s.idle_share(), 1);
  }
}

TEST(Schedule, OfAHundredThousandRunsOnAsManyRanksIsSoonDone) {
  Plan plan;
  std::mt19937 random(1);
  for (int i = 0; i < 100000; ++i) {
    PlannedRun planned = run(1, std::uniform_real_distribution<>(1, 10)(random));
    planned.spec.seed = static_cast<std::uint64_t>(i);  // weights of its own: as many to choose from
    plan.runs.push_back(std::move(planned));
  }
  EXPECT_EQ(simulate_schedule(plan, 4096).stages[0].runs, 100000);
  EXPECT_EQ(simulate_schedule(plan, 2000000000).stages[0].groups, 2000000000);
}

}  // namespace
}  // namespace hydrajob
