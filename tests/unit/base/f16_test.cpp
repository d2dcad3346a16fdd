#include "base/f16.hpp"

#include <algorithm>
#include <bit>
#include <cmath>
#include <cstdint>
#include <iostream>
#include <limits>
#include <random>
#include <vector>

#include <gtest/gtest.h>

namespace hydrajob {
namespace {

F16 of_bits(std::uint32_t bits) {
  F16 value;
  value.bits = static_cast<std::uint16_t>(bits);
  return value;
}

// As IEEE 754 defines it: 5 bits of exponent, 10 of fraction. Of infinity: what would follow the largest.
double magnitude_of(std::uint32_t bits) {
  const int exponent = static_cast<int>(bits >> 10 & 0x1fu), fraction = static_cast<int>(bits & 0x3ffu);
  return exponent == 0 ? std::ldexp(fraction, -24) : std::ldexp(1024 + fraction, exponent - 25);
}

TEST(F16, EveryValueIsWhatItsBitsSay) {
  for (std::uint32_t bits = 0; bits < 0x7c00; ++bits) {
    ASSERT_EQ(static_cast<float>(of_bits(bits)), magnitude_of(bits)) << bits;
    ASSERT_EQ(static_cast<float>(of_bits(bits | 0x8000)), -magnitude_of(bits)) << bits;
  }
  EXPECT_TRUE(std::signbit(static_cast<float>(of_bits(0x8000))));
  EXPECT_EQ(static_cast<float>(of_bits(0x7c00)), std::numeric_limits<float>::infinity());
  EXPECT_EQ(static_cast<float>(of_bits(0xfc00)), -std::numeric_limits<float>::infinity());
}

TEST(F16, EveryValueSurvivesTheWayThroughFloat) {
  for (std::uint32_t bits = 0; bits < 0x10000; ++bits) {
    const auto wide = static_cast<float>(of_bits(bits));
    const std::uint32_t quiet = std::isnan(wide) ? 0x200 : 0;
    ASSERT_EQ(F16(wide).bits, bits | quiet);
  }
}

TEST(F16, RoundsToNearestAndTiesToEven) {
  EXPECT_EQ(F16(1 + std::ldexp(1.0f, -11)).bits, 0x3c00);      // half way, even below
  EXPECT_EQ(F16(1 + 3 * std::ldexp(1.0f, -11)).bits, 0x3c02);  // half way, even above
  EXPECT_EQ(F16(2 - std::ldexp(1.0f, -23)).bits, 0x4000);      // into the next exponent
  EXPECT_EQ(F16(65519.996f).bits, 0x7bff);
  EXPECT_EQ(F16(65520).bits, 0x7c00);
  EXPECT_EQ(F16(std::numeric_limits<float>::max()).bits, 0x7c00);
  EXPECT_EQ(F16(-std::numeric_limits<float>::infinity()).bits, 0xfc00);
  EXPECT_EQ(F16(std::ldexp(1.0f, -25)).bits, 0x0000);  // half the smallest
  EXPECT_EQ(F16(std::nextafter(std::ldexp(1.0f, -25), 1.0f)).bits, 0x0001);
  EXPECT_EQ(F16(std::ldexp(2047.0f, -25)).bits, 0x0400);  // the smallest normal one, from below
  EXPECT_EQ(F16(std::numeric_limits<float>::denorm_min()).bits, 0x0000);
  EXPECT_EQ(F16(-0.0f).bits, 0x8000);
}

TEST(F16, TakesTheNearestOfAll) {
  const auto seed = std::random_device{}();
  std::cout << "seed " << seed << '\n';
  std::mt19937 random(seed);
  std::uniform_real_distribution<float> exponent(-27, 17);
  std::vector<double> all(0x7c01);
  for (std::uint32_t bits = 0; bits < all.size(); ++bits) all[bits] = magnitude_of(bits);
  for (int i = 0; i < 300000; ++i) {
    const float value = std::exp2(exponent(random));
    const auto above = std::min(std::lower_bound(all.begin(), all.end(), value), all.end() - 1);
    const auto below = above == all.begin() ? above : above - 1;
    const double to_above = *above - value, to_below = value - *below;
    const bool odd = (below - all.begin()) % 2 != 0;
    const auto nearest = (to_above < to_below || (to_above == to_below && odd) ? above : below) - all.begin();
    ASSERT_EQ(F16(value).bits, nearest) << value;
    ASSERT_EQ(F16(-value).bits, nearest | 0x8000) << value;
  }
}

// The payload's upper bits are kept, as processors keep them.
TEST(F16, NanStaysNan) {
  EXPECT_EQ(F16(std::bit_cast<float>(0x7f800001u)).bits, 0x7e00);
  EXPECT_EQ(F16(std::bit_cast<float>(0xff802000u)).bits, 0xfe01);
  EXPECT_EQ(F16(std::bit_cast<float>(0x7fffffffu)).bits, 0x7fff);
  EXPECT_EQ(std::bit_cast<std::uint32_t>(static_cast<float>(of_bits(0x7c01))), 0x7fc02000u);
  EXPECT_EQ(std::bit_cast<std::uint32_t>(static_cast<float>(of_bits(0xfe00))), 0xffc00000u);
}

}  // namespace
}  // namespace hydrajob
