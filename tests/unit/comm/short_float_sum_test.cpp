// The vectorised sums of bf16 and f16 against the types' own conversions, over special values and random
// bits.
#include "comm/short_float_sum.hpp"

#include <cmath>
#include <random>
#include <vector>

#include <gtest/gtest.h>

namespace hydrajob {
namespace {

template <class T>
T of_bits(std::uint32_t bits) {
  T value;
  value.bits = static_cast<std::uint16_t>(bits);
  return value;
}

template <class T>
void expect_sum(const std::vector<T>& a, const std::vector<T>& b) {
  std::vector<T> ab = b, ba = a;
  add(a.data(), ab.data(), static_cast<std::int64_t>(a.size()));
  add(b.data(), ba.data(), static_cast<std::int64_t>(a.size()));
  for (std::size_t i = 0; i < a.size(); ++i) {
    const float sum = static_cast<float>(a[i]) + static_cast<float>(b[i]);
    ASSERT_EQ(ab[i].bits, ba[i].bits) << "order of " << a[i].bits << " and " << b[i].bits;
    if (std::isnan(sum)) {
      ASSERT_TRUE(std::isnan(static_cast<float>(ab[i])));
    } else {
      ASSERT_EQ(ab[i].bits, T(sum).bits) << a[i].bits << " + " << b[i].bits;
    }
  }
}

template <class T>
void expect_sums_of_random_bits() {
  const unsigned seed = 20240517;
  SCOPED_TRACE(testing::Message() << "seed " << seed);
  std::mt19937 generator(seed);
  std::vector<T> a, b;
  for (int i = 0; i < 200003; ++i) {
    a.push_back(of_bits<T>(generator()));
    b.push_back(of_bits<T>(generator()));
  }
  expect_sum(a, b);
}

template <class T>
void expect_sums_of_all_pairs(const std::vector<std::uint32_t>& special) {
  std::vector<T> a, b;
  for (const std::uint32_t x : special) {
    for (const std::uint32_t y : special) {
      a.push_back(of_bits<T>(x));
      b.push_back(of_bits<T>(y));
    }
  }
  expect_sum(a, b);
}

TEST(ShortFloatSum, RandomBits) {
  expect_sums_of_random_bits<Bf16>();
  expect_sums_of_random_bits<F16>();
}

// ±0, ±1, smallest and largest finite, ±infinity, quiet and signalling NaN of both signs
TEST(ShortFloatSum, SpecialValues) {
  expect_sums_of_all_pairs<Bf16>({0x0000, 0x8000, 0x3f80, 0xbf80, 0x0001, 0x7f7f, 0xff7f, 0x7f80, 0xff80,
                                  0x7fc0, 0x7f81, 0xffff, 0xff81});
  expect_sums_of_all_pairs<F16>({0x0000, 0x8000, 0x3c00, 0xbc00, 0x0001, 0x7bff, 0xfbff, 0x7c00, 0xfc00,
                                 0x7e00, 0x7c01, 0xffff, 0xfc01});
}

}  // namespace
}  // namespace hydrajob
