// Labels and estimates.
#include "sched/progress.hpp"

#include <gtest/gtest.h>

namespace hydrajob {
namespace {

PlannedRun run(const Parameters& parameters) {
  PlannedRun planned;
  planned.spec.parameters = parameters;
  planned.spec.id = "0123456789abcdef";
  return planned;
}

TEST(RunLabels, NameWhatDiffers) {
  Plan plan;
  plan.runs = {run({{"batch", std::int64_t{1}}, {"mode", "hydragen"}, {"prefix", std::int64_t{16}}}),
               run({{"batch", std::int64_t{2}}, {"mode", "hydragen"}, {"prefix", std::int64_t{16}}}),
               run({{"batch", std::int64_t{2}}, {"mode", "paged"}, {"prefix", std::int64_t{16}}})};
  const RunLabels labels(plan);
  EXPECT_EQ(labels.of(plan.runs[2]), "batch=2 mode=paged");
}

TEST(RunLabels, ALoneRunIsNamedByItsId) {
  Plan plan;
  plan.runs = {run({{"batch", std::int64_t{1}}})};
  EXPECT_EQ(RunLabels(plan).of(plan.runs[0]), "01234567");
}

TEST(Estimate, PredictionsStandUntilARunIsDone) {
  EXPECT_DOUBLE_EQ(Estimate().expected_s(10, 3), 10);
  EXPECT_DOUBLE_EQ(Estimate().longest_within(10), 10);
}

TEST(Estimate, LearnsTheOverheadOfARunAndTheFactorOfItsTime) {
  Estimate estimate;
  estimate.add(0.001, 2.0);  // two seconds around nothing
  EXPECT_DOUBLE_EQ(estimate.expected_s(1, 1), 3);
  estimate.add(10, 2.0 + 30.003);  // thrice the prediction
  EXPECT_NEAR(estimate.expected_s(10, 1), 32, 1e-6);
  EXPECT_NEAR(estimate.longest_within(32), 10, 1e-6);
  EXPECT_LT(estimate.longest_within(1), 0);
}

}  // namespace
}  // namespace hydrajob
