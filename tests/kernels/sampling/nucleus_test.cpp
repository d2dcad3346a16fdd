// The nucleus: by hand, against sorting, and over shards.
#include "kernels/nucleus.hpp"

#include <limits>
#include <utility>

#include "kernels/sampling/draw.hpp"

namespace hydrajob::test {
namespace {

constexpr float infinity = std::numeric_limits<float>::infinity();

class NucleusTest : public KernelTest {
 protected:
  std::vector<Kernels*> both() { return {tested_.get(), reference_.get()}; }

  // The smallest key of each row's nucleus, its shards on different ranks.
  std::vector<std::uint32_t> smallest_keys(Kernels& kernels, const std::vector<Rows>& shards,
                                           float temperature, float top_p) {
    const std::int64_t rows = shards.front().rows;
    const auto n = static_cast<std::size_t>(rows);
    std::vector<float> maximum(n, -infinity), part(n);
    for (const Rows& shard : shards) {
      kernels.row_max(shard.logits.data(), part.data(), rows, shard.n_ids, stream_);
      for (std::size_t r = 0; r < n; ++r) maximum[r] = std::max(maximum[r], part[r]);
    }
    std::vector<std::uint32_t> prefix(n, 0);
    std::vector<std::uint64_t> remaining(n, 0xdeadbeef);
    for (int pass = 0; pass < nucleus_passes; ++pass) {
      std::vector<std::uint64_t> sum(n * nucleus_digits, 0), histogram(n * nucleus_digits);
      for (const Rows& shard : shards) {
        histogram.assign(histogram.size(), ~std::uint64_t{0});
        kernels.nucleus_histogram(shard.logits.data(), maximum.data(), prefix.data(), pass, temperature,
                                  histogram.data(), rows, shard.n_ids, stream_);
        for (std::size_t i = 0; i < sum.size(); ++i) sum[i] += histogram[i];
      }
      kernels.nucleus_select(sum.data(), prefix.data(), remaining.data(), pass, top_p, rows, stream_);
    }
    return prefix;
  }
};

// Mass of the tokens whose key is larger, and at least as large, in parts of all.
std::pair<double, double> mass_above(const Rows& rows, std::int64_t row, std::uint32_t key,
                                     float temperature) {
  const float* logits = rows.logits.data() + row * rows.n_ids;
  const double maximum = *std::max_element(logits, logits + rows.n_ids);
  double larger = 0, at_least = 0, total = 0;
  for (std::int64_t i = 0; i < rows.n_ids; ++i) {
    const double mass = std::exp((logits[i] - maximum) / temperature);
    total += mass;
    if (nucleus_key(logits[i]) > key) larger += mass;
    if (nucleus_key(logits[i]) >= key) at_least += mass;
  }
  return {larger / total, at_least / total};
}

TEST(NucleusKey, RisesWithTheLogit) {
  const std::vector<float> rising{-infinity, -3e38f, -2, -1, -1e-40f, -0.0f,
                                  0.0f,      1e-40f, 1,  2,  3e38f,   infinity};
  for (std::size_t i = 1; i < rising.size(); ++i)
    EXPECT_LT(nucleus_key(rising[i - 1]), nucleus_key(rising[i]));
}

TEST(NucleusKey, DigitsAreTheWholeKey) {
  for (const std::uint32_t key : {0u, ~0u, 0x12345678u, 0x80000400u}) {
    std::uint32_t whole = 0;
    for (int pass = 0; pass < nucleus_passes; ++pass) {
      EXPECT_EQ(whole, key & nucleus_settled(pass));
      whole |= nucleus_digit(key, pass) << nucleus_shift[static_cast<std::size_t>(pass)];
    }
    EXPECT_EQ(whole, key);
  }
}

TEST_F(NucleusTest, ByHand) {
  // Probabilities 0.5, 0.25, 0.125, 0.125 at temperature 1.
  const float l2 = std::log(2.0f);
  const Rows rows{1, 4, 0, {-2 * l2, 0, -l2, -2 * l2}, {0}, {0}};
  for (Kernels* kernels : both()) {
    const auto smallest = [&](float top_p) { return smallest_keys(*kernels, {rows}, 1, top_p)[0]; };
    EXPECT_EQ(smallest(1e-9f), nucleus_key(0));
    EXPECT_EQ(smallest(0.5f), nucleus_key(0));
    EXPECT_EQ(smallest(0.51f), nucleus_key(-l2));
    EXPECT_EQ(smallest(0.74f), nucleus_key(-l2));
    EXPECT_EQ(smallest(0.76f), nucleus_key(-2 * l2));  // both of the equal ones
    EXPECT_EQ(smallest(1.0f), nucleus_key(-2 * l2));
  }
}

TEST_F(NucleusTest, ALoneTokenWithAllTheMass) {
  const Rows rows{1, 3, 0, {-1000, 5, -infinity}, {0}, {0}};
  for (Kernels* kernels : both()) {
    EXPECT_EQ(smallest_keys(*kernels, {rows}, 0.5f, 0.9f)[0], nucleus_key(5));
    EXPECT_EQ(smallest_keys(*kernels, {rows}, 0.5f, 1.0f)[0], nucleus_key(5));
  }
}

// Without its smallest members the nucleus would not reach top_p; with them it does.
TEST_F(NucleusTest, IsTheSmallestSetThatReachesTopP) {
  for (const float spread : {0.01f, 1.0f, 5.0f}) {
    for (const float top_p : {0.01f, 0.3f, 0.9f, 0.999f}) {
      for (const std::int64_t n_ids : {1, 17, 1000, 8003}) {
        const Rows rows = Rows::random(4, n_ids, 0, spread, random_);
        for (Kernels* kernels : both()) {
          const auto keys = smallest_keys(*kernels, {rows}, 0.8f, top_p);
          for (std::int64_t r = 0; r < rows.rows; ++r) {
            const auto [larger, at_least] = mass_above(rows, r, keys[static_cast<std::size_t>(r)], 0.8f);
            EXPECT_LT(larger, top_p + 1e-6) << n_ids;
            EXPECT_GE(at_least, top_p - 1e-6) << n_ids;
          }
        }
      }
    }
  }
}

TEST_F(NucleusTest, TheSameWhateverTheShards) {
  for (int trial = 0; trial < 50; ++trial) {
    const std::int64_t n_ids = std::uniform_int_distribution<std::int64_t>(3, 900)(random_);
    const Rows rows = Rows::random(3, n_ids, 0, 2, random_);
    const std::int64_t cut = std::uniform_int_distribution<std::int64_t>(1, n_ids - 1)(random_);
    EXPECT_EQ(smallest_keys(*tested_, {rows.shard(0, cut), rows.shard(cut, n_ids)}, 1.3f, 0.85f),
              smallest_keys(*tested_, {rows}, 1.3f, 0.85f));
  }
}

TEST_F(NucleusTest, RowMaximumMatchesAndSkipsNan) {
  for (const std::int64_t n_ids : {1, 15, 16, 33, 1001}) {
    Rows rows = Rows::random(5, n_ids, 0, 10, random_);
    if (n_ids > 2) rows.logits[2] = std::numeric_limits<float>::quiet_NaN();
    std::vector<float> actual(5), expected(5);
    tested_->row_max(rows.logits.data(), actual.data(), 5, n_ids, stream_);
    reference_->row_max(rows.logits.data(), expected.data(), 5, n_ids, stream_);
    EXPECT_EQ(actual, expected);
  }
}

}  // namespace
}  // namespace hydrajob::test
