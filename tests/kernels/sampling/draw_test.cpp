// Which token is drawn: ties, shards, threads, exclusions, and the reference's choice.
#include "kernels/sampling/draw.hpp"

#include <limits>

#include "base/philox.hpp"
#include "kernels/nucleus.hpp"

namespace hydrajob::test {
namespace {

constexpr float infinity = std::numeric_limits<float>::infinity();
constexpr float nan = std::numeric_limits<float>::quiet_NaN();

SamplingArgs at_temperature(float temperature) {
  SamplingArgs sampling;
  sampling.temperature = temperature;
  sampling.seed = seed();
  return sampling;
}

class DrawTest : public KernelTest {
 protected:
  std::vector<Kernels*> both() { return {tested_.get(), reference_.get()}; }

  static Rows one_row(std::vector<float> logits, std::int64_t first_id) {
    const auto n = static_cast<std::int64_t>(logits.size());
    return {1, n, first_id, std::move(logits), {3}, {4}};
  }

  // logit / temperature + Gumbel of the token, in f64.
  static double value_of(const Rows& rows, std::int64_t row, std::int32_t id, const SamplingArgs& sampling) {
    const double logit = rows.logits[static_cast<std::size_t>(row * rows.n_ids + id - rows.first_id)];
    if (sampling.temperature == 0) return logit;
    const auto unsigned_of = [&](std::int32_t v) { return static_cast<std::uint32_t>(v); };
    const auto r = static_cast<std::size_t>(row);
    const PhiloxCounter words =
        philox4x32({unsigned_of(id) >> 2, unsigned_of(rows.step[r]), unsigned_of(rows.sequence[r]), 0},
                   philox_key(sampling.seed));
    return logit / sampling.temperature -
           std::log(-std::log(static_cast<double>(uniform_open(words[id & 3]))));
  }
};

TEST_F(DrawTest, GreedyTakesTheLargestAndOfEqualOnesTheSmallestId) {
  for (Kernels* kernels : both()) {
    EXPECT_EQ(draw(*kernels, one_row({1, 7, 3, 7, 7}, 100), {}), (Drawn{{7}, {101}}));
    std::vector<float> equal(133, 2.5f);  // across vectors and tails
    EXPECT_EQ(draw(*kernels, one_row(equal, 5), {}), (Drawn{{2.5f}, {5}}));
    equal[132] = 3;
    EXPECT_EQ(draw(*kernels, one_row(equal, 5), {}), (Drawn{{3}, {137}}));
    EXPECT_EQ(draw(*kernels, one_row(std::vector<float>(10000, 1.0f), 5), {}).id[0], 5);  // across threads
  }
}

TEST_F(DrawTest, NanIsNeverDrawnAndNothingGivesTheFirstIdAtMinusInfinity) {
  for (Kernels* kernels : both()) {
    for (const float temperature : {0.0f, 1.0f}) {
      EXPECT_EQ(draw(*kernels, one_row({nan, -5, nan}, 40), at_temperature(temperature)).id[0], 41);
      const Drawn none = draw(*kernels, one_row({nan, -infinity, nan}, 40), at_temperature(temperature));
      EXPECT_EQ(none, (Drawn{{-infinity}, {40}}));
    }
  }
}

TEST_F(DrawTest, KeysBelowTheSmallestAreLeftOut) {
  const std::uint32_t smallest = nucleus_key(2.0f);
  Rows rows = Rows::random(1, 1000, 17, 1, random_);
  rows.logits[500] = 2.0f;
  rows.logits[700] = 2.5f;
  for (float& logit : rows.logits) logit = std::min(logit, 2.5f);
  for (Kernels* kernels : both()) {
    EXPECT_EQ(draw(*kernels, rows, {}, &smallest).value[0], 2.5f);
    for (std::int32_t step = 0; step < 50; ++step) {
      rows.step[0] = step;
      const Drawn drawn = draw(*kernels, rows, at_temperature(5), &smallest);
      EXPECT_GE(rows.logits[static_cast<std::size_t>(drawn.id[0] - 17)], 2.0f);
    }
  }
}

TEST_F(DrawTest, TheSmallestKeyItselfIsKept) {
  Rows rows = one_row({2, -1, 3, 1, 3, 0}, 0);
  const std::uint32_t smallest = nucleus_key(3);
  for (Kernels* kernels : both()) {
    for (std::int32_t step = 0; step < 20; ++step) {
      rows.step[0] = step;
      const std::int32_t id = draw(*kernels, rows, at_temperature(9), &smallest).id[0];
      EXPECT_TRUE(id == 2 || id == 4) << id;
    }
  }
}

// The largest value in f64 is always found, to the rounding of one f32 logarithm.
TEST_F(DrawTest, CpuDrawsWhatTheReferenceDraws) {
  int draws = 0, equal = 0;
  for (const float temperature : {0.0f, 0.05f, 1.0f, 100.0f}) {
    for (const float spread : {0.1f, 3.0f, 40.0f}) {
      for (const std::int64_t n_ids : {1, 3, 15, 16, 17, 63, 64, 65, 1000, 5003}) {
        for (const std::int64_t first_id : {0, 1, 5, 64, 31999}) {
          const Rows rows = Rows::random(3, n_ids, first_id, spread, random_);
          const SamplingArgs sampling = at_temperature(temperature);
          const Drawn actual = draw(*tested_, rows, sampling), expected = draw(*reference_, rows, sampling);
          for (std::int64_t r = 0; r < 3; ++r) {
            const double best = value_of(rows, r, expected.id[r], sampling);
            const double tolerance = 1e-6 * (2 + std::abs(best));
            ASSERT_GE(value_of(rows, r, actual.id[r], sampling), best - tolerance);
            ASSERT_NEAR(actual.value[r], best, tolerance);
            ++draws;
            equal += actual.id[r] == expected.id[r];
          }
        }
      }
    }
  }
  EXPECT_GE(equal, draws - draws / 200);
}

TEST_F(DrawTest, TheSameWhateverTheShards) {
  for (const float temperature : {0.0f, 1.0f, 100.0f}) {
    for (int trial = 0; trial < 100; ++trial) {
      const std::int64_t n_ids = std::uniform_int_distribution<std::int64_t>(2, 700)(random_);
      const Rows rows = Rows::random(4, n_ids, 0, 2, random_);
      const SamplingArgs sampling = at_temperature(temperature);
      const std::int64_t cut = std::uniform_int_distribution<std::int64_t>(1, n_ids - 1)(random_);
      const Drawn left = draw(*tested_, rows.shard(0, cut), sampling);
      const Drawn right = draw(*tested_, rows.shard(cut, n_ids), sampling);
      EXPECT_EQ(better_of(left, right), draw(*tested_, rows, sampling)) << "cut " << cut << " of " << n_ids;
    }
  }
}

TEST_F(DrawTest, TheSameWhateverTheThreads) {
  const auto one = make_cpu_kernels(1), seven = make_cpu_kernels(7);
  for (const std::int64_t rows : {1, 2, 7, 20}) {
    const Rows r = Rows::random(rows, 32001, 3, 1, random_);
    for (const float temperature : {0.0f, 1.0f}) {
      EXPECT_EQ(draw(*one, r, at_temperature(temperature)), draw(*seven, r, at_temperature(temperature)));
    }
  }
}

TEST_F(DrawTest, EverySeedSequenceAndStepDrawsAnew) {
  const Rows rows = one_row(std::vector<float>(1 << 15, 0.0f), 0);
  const auto with = [&](std::uint64_t s, std::int32_t sequence, std::int32_t step) {
    Rows r = rows;
    r.sequence[0] = sequence;
    r.step[0] = step;
    return draw(*tested_, r, {1, 1, s}).id[0];
  };
  EXPECT_EQ(with(1, 2, 3), with(1, 2, 3));
  EXPECT_NE(with(1, 2, 3), with(2, 2, 3));
  EXPECT_NE(with(1, 2, 3), with(std::uint64_t{1} << 32 | 1, 2, 3));
  EXPECT_NE(with(1, 2, 3), with(1, 3, 3));
  EXPECT_NE(with(1, 2, 3), with(1, 2, 4));
}

}  // namespace
}  // namespace hydrajob::test
