// The vectorised sum of bf16 against Bf16's own conversion, over special values and random bits.
#include "comm/bf16_sum.hpp"

#include <cmath>
#include <random>
#include <vector>

#include <gtest/gtest.h>

namespace hydrajob {
namespace {

Bf16 of_bits(std::uint32_t bits) {
  Bf16 value;
  value.bits = static_cast<std::uint16_t>(bits);
  return value;
}

void expect_sum(const std::vector<Bf16>& a, const std::vector<Bf16>& b) {
  std::vector<Bf16> ab = b, ba = a;
  add_bf16(a.data(), ab.data(), static_cast<std::int64_t>(a.size()));
  add_bf16(b.data(), ba.data(), static_cast<std::int64_t>(a.size()));
  for (std::size_t i = 0; i < a.size(); ++i) {
    const float sum = static_cast<float>(a[i]) + static_cast<float>(b[i]);
    ASSERT_EQ(ab[i].bits, ba[i].bits) << "order of " << a[i].bits << " and " << b[i].bits;
    if (std::isnan(sum)) {
      ASSERT_TRUE(std::isnan(static_cast<float>(ab[i])));
    } else {
      ASSERT_EQ(ab[i].bits, Bf16(sum).bits) << a[i].bits << " + " << b[i].bits;
    }
  }
}

TEST(Bf16Sum, RandomBits) {
  const unsigned seed = 20240517;
  SCOPED_TRACE(testing::Message() << "seed " << seed);
  std::mt19937 generator(seed);
  std::vector<Bf16> a, b;
  for (int i = 0; i < 200003; ++i) {
    a.push_back(of_bits(generator()));
    b.push_back(of_bits(generator()));
  }
  expect_sum(a, b);
}

TEST(Bf16Sum, SpecialValues) {
  // ±0, ±1, smallest and largest finite, ±infinity, quiet and signalling NaN of both signs
  const std::vector<std::uint32_t> special = {0x0000, 0x8000, 0x3f80, 0xbf80, 0x0001, 0x7f7f, 0xff7f,
                                              0x7f80, 0xff80, 0x7fc0, 0x7f81, 0xffff, 0xff81};
  std::vector<Bf16> a, b;
  for (const std::uint32_t x : special) {
    for (const std::uint32_t y : special) {
      a.push_back(of_bits(x));
      b.push_back(of_bits(y));
    }
  }
  expect_sum(a, b);
}

}  // namespace
}  // namespace hydrajob
