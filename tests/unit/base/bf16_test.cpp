#include "base/bf16.hpp"

#include <bit>
#include <cmath>
#include <cstdint>
#include <iostream>
#include <limits>
#include <random>

#include <gtest/gtest.h>

namespace hydrajob {
namespace {

Bf16 of_bits(std::uint16_t bits) {
  Bf16 value;
  value.bits = bits;
  return value;
}

TEST(Bf16, EveryValueSurvivesTheWayThroughFloat) {
  for (std::uint32_t bits = 0; bits < 0x10000; ++bits) {
    const auto wide = static_cast<float>(of_bits(static_cast<std::uint16_t>(bits)));
    if (std::isnan(wide)) {
      EXPECT_TRUE(std::isnan(static_cast<float>(Bf16(wide)))) << bits;
    } else {
      EXPECT_EQ(Bf16(wide).bits, bits);
    }
  }
}

TEST(Bf16, RoundsToNearestAndTiesToEven) {
  EXPECT_EQ(Bf16(std::bit_cast<float>(0x3f808000u)).bits, 0x3f80);  // half way, even below
  EXPECT_EQ(Bf16(std::bit_cast<float>(0x3f818000u)).bits, 0x3f82);  // half way, even above
  EXPECT_EQ(Bf16(std::bit_cast<float>(0x3f808001u)).bits, 0x3f81);
  EXPECT_EQ(Bf16(std::bit_cast<float>(0x3f807fffu)).bits, 0x3f80);
  EXPECT_EQ(Bf16(std::numeric_limits<float>::max()).bits, 0x7f80);  // infinity is nearest
  EXPECT_EQ(Bf16(-0.0f).bits, 0x8000);
}

// Both neighbours by the exponent alone, in f64.
TEST(Bf16, TakesTheNearerNeighbour) {
  const auto seed = std::random_device{}();
  std::cout << "seed " << seed << '\n';
  std::mt19937 random(seed);
  for (int i = 0; i < 100000; ++i) {
    const auto value = std::bit_cast<float>(static_cast<std::uint32_t>(random()));
    if (!std::isfinite(value) || std::abs(value) > 3.3e38f) continue;
    const std::uint32_t down = std::bit_cast<std::uint32_t>(value) & 0xffff0000u;
    const double low = std::bit_cast<float>(down), high = std::bit_cast<float>(down + 0x10000u);
    const double rounded = static_cast<float>(Bf16(value));
    EXPECT_LE(std::abs(rounded - value), std::min(std::abs(low - value), std::abs(high - value)));
  }
}

TEST(Bf16, NanStaysNan) {
  for (const std::uint32_t bits : {0x7f800001u, 0xff800001u, 0x7fffffffu, 0x7fc00000u}) {
    EXPECT_TRUE(std::isnan(static_cast<float>(Bf16(std::bit_cast<float>(bits))))) << bits;
  }
}

}  // namespace
}  // namespace hydrajob
