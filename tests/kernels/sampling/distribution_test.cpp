// Draws follow the softmax of logits / temperature, and its nucleus: Pearson's chi-square.
#include <numeric>

#include "kernels/nucleus.hpp"
#include "kernels/sampling/draw.hpp"

namespace hydrajob::test {
namespace {

constexpr std::int64_t n_ids = 24, draws_each = 1 << 17;

class DistributionTest : public KernelTest {
 protected:
  std::vector<double> softmax(const std::vector<float>& logits, float temperature,
                              std::uint32_t smallest_key) {
    std::vector<double> mass;
    for (const float logit : logits) {
      mass.push_back(nucleus_key(logit) >= smallest_key ? std::exp(logit / temperature) : 0.0);
    }
    const double total = std::accumulate(mass.begin(), mass.end(), 0.0);
    for (double& m : mass) m /= total;
    return mass;
  }

  // Rows that differ in sequence or step only.
  std::vector<std::int64_t> counts(const std::vector<float>& logits, const SamplingArgs& sampling,
                                   std::uint32_t smallest_key) {
    const std::int64_t rows = 1 << 10;
    Rows r{rows, n_ids, 7, {}, std::vector<std::int32_t>(rows), std::vector<std::int32_t>(rows)};
    for (std::int64_t i = 0; i < rows; ++i) r.logits.insert(r.logits.end(), logits.begin(), logits.end());
    std::iota(r.sequence.begin(), r.sequence.end(), 0);
    const std::vector<std::uint32_t> keys(rows, smallest_key);
    std::vector<std::int64_t> count(n_ids, 0);
    for (std::int32_t step = 0; step < draws_each / rows; ++step) {
      r.step.assign(rows, step);
      for (const std::int32_t id : draw(*tested_, r, sampling, keys.data()).id)
        ++count[static_cast<std::size_t>(id - 7)];
    }
    return count;
  }

  void expect_softmax(float temperature, std::uint32_t smallest_key) {
    const Rows shape = Rows::random(1, n_ids, 0, 1, random_);
    const auto expected = softmax(shape.logits, temperature, smallest_key);
    const auto count = counts(shape.logits, {temperature, 1, seed()}, smallest_key);
    double chi_square = 0, freedom = -1;
    for (std::size_t i = 0; i < expected.size(); ++i) {
      if (expected[i] == 0) {
        EXPECT_EQ(count[i], 0) << "drawn from outside of the nucleus";
        continue;
      }
      const double mean = expected[i] * static_cast<double>(draws_each);
      chi_square += (static_cast<double>(count[i]) - mean) * (static_cast<double>(count[i]) - mean) / mean;
      ++freedom;
    }
    // Wilson and Hilferty: the cube root is nearly normal. Beyond 5.5 standard deviations: 2 in 100 million.
    const double spread = std::sqrt(2 / (9 * freedom));
    EXPECT_LT((std::cbrt(chi_square / freedom) - 1 + 2 / (9 * freedom)) / spread, 5.5) << chi_square;
  }
};

TEST_F(DistributionTest, TemperatureOne) {
  expect_softmax(1.0f, 0);
}
TEST_F(DistributionTest, LowTemperature) {
  expect_softmax(0.7f, 0);
}
TEST_F(DistributionTest, HighTemperature) {
  expect_softmax(3.0f, 0);
}
TEST_F(DistributionTest, WithinANucleus) {
  expect_softmax(0.9f, nucleus_key(-0.3f));
}

}  // namespace
}  // namespace hydrajob::test
