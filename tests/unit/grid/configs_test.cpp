// Every configuration that comes with the program plans, and so does the documentation's first example.
#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <iterator>
#include <set>
#include <utility>

#include <gtest/gtest.h>

#include "unit/grid/support.hpp"

namespace hydrajob {
namespace {

Plan plan_file(const std::string& name) {
  ::unsetenv("HYDRAJOB_MODEL");
  return make_plan(load_experiment(std::string(HJ_SOURCE_DIR "/configs/") + name, {}), request());
}

TEST(Configs, AllPlan) {
  for (const auto& entry : std::filesystem::directory_iterator(HJ_SOURCE_DIR "/configs")) {
    if (entry.path().extension() != ".yaml") continue;
    EXPECT_GT(plan_file(entry.path().filename()).runs.size(), 0u) << entry.path();
  }
}

TEST(Configs, QuickstartIsSmall) {
  const Plan plan = plan_file("quickstart.yaml");
  EXPECT_EQ(plan.runs.size(), 16u);
  for (const PlannedRun& run : plan.runs) EXPECT_EQ(run.spec.weights, "results/tiny.h5");
}

// scripts/needles.py as its own sweep list calls it: 2^1 to 2^10 questions, ten iterations of which five warm
// up.
TEST(Configs, NeedlesAreTheReferences) {
  const Plan plan = plan_file("needles.yaml");
  EXPECT_EQ(plan.runs.size(), 3u * 10u);
  std::set<std::pair<Mode, std::int64_t>> points;
  for (const PlannedRun& run : plan.runs) {
    points.emplace(run.spec.mode, run.spec.batch);
    EXPECT_EQ(run.spec.workload, WorkloadKind::needles);
    EXPECT_EQ(run.spec.architecture.name, "yi-6b-200k");
    EXPECT_EQ(run.spec.tensor_parallel, 4);
    EXPECT_EQ(run.spec.dtype, DType::bf16);
    EXPECT_EQ(run.spec.prefix, 19947);
    EXPECT_EQ(run.spec.new_tokens, 10);
    EXPECT_EQ(run.spec.temperature, 0);
    EXPECT_EQ(run.spec.warmup, 5);
    EXPECT_EQ(run.spec.max_iterations, 5);
  }
  for (const Mode mode : {Mode::hydragen, Mode::noshared, Mode::noattention}) {
    for (std::int64_t questions = 2; questions <= 1024; questions *= 2) {
      EXPECT_EQ(points.count({mode, questions}), 1u) << to_string(mode) << ' ' << questions;
    }
  }
}

TEST(Documentation, ItsExampleHas18Runs) {
  std::ifstream file(HJ_SOURCE_DIR "/docs/configuration.md");
  const std::string text{std::istreambuf_iterator<char>(file), std::istreambuf_iterator<char>()};
  const std::size_t begin = text.find("```yaml\n") + 8;
  const Plan plan = make_plan(experiment(text.substr(begin, text.find("```", begin) - begin)), request());
  EXPECT_EQ(plan.runs.size(), 18u);
}

}  // namespace
}  // namespace hydrajob
