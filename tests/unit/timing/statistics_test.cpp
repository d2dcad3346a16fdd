#include "timing/statistics.hpp"

#include <algorithm>
#include <cmath>
#include <iostream>
#include <numeric>
#include <random>

#include <gtest/gtest.h>

namespace hydrajob {
namespace {

std::vector<double> one_to(int n) {
  std::vector<double> samples(static_cast<std::size_t>(n));
  std::iota(samples.begin(), samples.end(), 1.0);
  std::shuffle(samples.begin(), samples.end(), std::mt19937(1));
  return samples;
}

using Interval = std::pair<double, double>;

TEST(Statistics, Median) {
  EXPECT_TRUE(std::isnan(median({})));
  EXPECT_EQ(median({3}), 3);
  EXPECT_EQ(median({3, 1}), 2);
  EXPECT_EQ(median({9, 1, 5}), 5);
}

TEST(Statistics, QuantileIsLinearBetweenSamples) {
  EXPECT_TRUE(std::isnan(quantile({}, 0.99)));
  EXPECT_EQ(quantile({10, 30, 20}, 0), 10);
  EXPECT_EQ(quantile({10, 30, 20}, 1), 30);
  EXPECT_EQ(quantile({10, 30, 20}, 0.25), 15);
  EXPECT_NEAR(quantile(one_to(101), 0.99), 100, 1e-12);
}

// Fewer than k of n coin throws: n 6, k 1: 1/64 = 1.6 %. n 8, k 1: 0.4 %, k 2: 3.5 %. n 9, k 2: 2.0 %.
// n 20, k 6: 2.07 %, k 7: 5.8 %. n 100: the 40th and the 61st, as in every table of it.
TEST(Statistics, IntervalOfTheMedianByHand) {
  EXPECT_EQ(median_interval(one_to(5)), std::nullopt);
  EXPECT_EQ(median_interval(one_to(6)), (Interval{1, 6}));
  EXPECT_EQ(median_interval(one_to(8)), (Interval{1, 8}));
  EXPECT_EQ(median_interval(one_to(9)), (Interval{2, 8}));
  EXPECT_EQ(median_interval(one_to(20)), (Interval{6, 15}));
  EXPECT_EQ(median_interval(one_to(100)), (Interval{40, 61}));
}

TEST(Statistics, IntervalOfVeryManySamplesIsNormal) {
  const auto interval = median_interval(one_to(100000));
  ASSERT_TRUE(interval);
  const double half_width = 1.959964 * std::sqrt(100000.0) / 2;
  EXPECT_NEAR(interval->first, 50000 - half_width, 2);
  EXPECT_NEAR(interval->second, 50001 + half_width, 2);
}

TEST(Statistics, IntervalCoversTheMedianOfASkewedDistribution) {
  const auto seed = std::random_device{}();
  std::cout << "seed " << seed << '\n';
  std::mt19937_64 random(seed);
  std::lognormal_distribution<double> skewed(0, 1);  // median 1
  for (const std::size_t n : {6, 11, 30, 64}) {
    int covered = 0;
    for (int trial = 0; trial < 10000; ++trial) {
      std::vector<double> samples(n);
      for (double& s : samples) s = skewed(random);
      const auto interval = median_interval(samples);
      covered += interval->first <= 1 && 1 <= interval->second;
    }
    EXPECT_GE(covered, 9400) << n << " samples";
  }
}

TEST(Convergence, SaysWhy) {
  EXPECT_FALSE(convergence({1, 1, 1, 1, 1}, 0.01).converged);
  EXPECT_EQ(convergence({1, 1, 1, 1, 1}, 0.01).reason, "fewer than 6 samples");

  const std::vector<double> close{1.0, 1.0, 1.0, 1.004, 1.0, 0.998};
  EXPECT_TRUE(convergence(close, 0.01).converged);
  EXPECT_EQ(convergence(close, 0.01).reason, "interval ±0.4 % of the median after 6");

  const std::vector<double> wide{1.0, 1.0, 1.0, 1.031, 1.0, 1.0};
  EXPECT_FALSE(convergence(wide, 0.01).converged);
  EXPECT_EQ(convergence(wide, 0.01).reason, "±3.1 % after 6, asked ±1 %");
}

TEST(Convergence, EqualSamplesConvergeEvenAtZero) {
  EXPECT_TRUE(convergence(std::vector<double>(6, 0.0), 0.0).converged);
  EXPECT_TRUE(convergence(std::vector<double>(6, 2.0), 0.0).converged);
}

}  // namespace
}  // namespace hydrajob
