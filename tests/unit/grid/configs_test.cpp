// Every configuration that comes with the program plans, and so does the documentation's first example.
#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <iterator>

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

TEST(Documentation, ItsExampleHas18Runs) {
  std::ifstream file(HJ_SOURCE_DIR "/docs/configuration.md");
  const std::string text{std::istreambuf_iterator<char>(file), std::istreambuf_iterator<char>()};
  const std::size_t begin = text.find("```yaml\n") + 8;
  const Plan plan = make_plan(experiment(text.substr(begin, text.find("```", begin) - begin)), request());
  EXPECT_EQ(plan.runs.size(), 18u);
}

}  // namespace
}  // namespace hydrajob
