// Samples as columns of a record.
#include "workload/metrics.hpp"

#include <gtest/gtest.h>

namespace hydrajob {
namespace {

TEST(Totals, AreOfEachRankAndIteration) {
  std::vector<PhaseSample> samples{{"load", 0, 0, false, 0, 100},      {"prefill", 0, 0, true, 0, 1},
                                   {"decode_step", 0, 1, true, 0, 2},  {"prefill", 0, 0, false, 0, 10},
                                   {"prefill", 0, 0, false, 1, 20},    {"decode_step", 0, 1, false, 0, 3},
                                   {"decode_step", 0, 2, false, 0, 4}, {"decode_step", 0, 1, false, 1, 5},
                                   {"prefill", 1, 0, false, 1, 30}};
  add_totals(samples);
  EXPECT_EQ(slowest_rank(samples, "total", true), (std::vector<double>{3}));
  EXPECT_EQ(slowest_rank(samples, "total", false), (std::vector<double>{25, 30}));
  RunRecord record;
  add_samples(record, samples);
  for (const SampleSeries& series : record.samples) {
    if (series.phase != "total" || series.warmup) continue;
    EXPECT_EQ(series.value, (std::vector<double>{17, 25, 30}));
    EXPECT_EQ(series.rank, (std::vector<std::int32_t>{0, 1, 1}));
    EXPECT_EQ(series.iteration, (std::vector<std::int32_t>{0, 0, 1}));
  }
}

}  // namespace
}  // namespace hydrajob
