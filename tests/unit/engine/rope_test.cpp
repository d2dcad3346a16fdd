#include "engine/rope.hpp"

#include <cmath>

#include <gtest/gtest.h>

using namespace hydrajob;

namespace {

Architecture with_scaling(RopeScaling scaling) {
  Architecture a;
  a.head_dim = 8;
  a.rope_theta = 10000;
  a.rope_scaling = scaling;
  return a;
}

// The angle of pair i at position 1 (small enough to be told from its sine).
double angle(const Architecture& a, int i) {
  const RopeTable table = make_rope_table(a, 2);
  return std::atan2(table.sine[4 + i], table.cosine[4 + i]);
}

}  // namespace

TEST(Rope, PlainFrequencies) {
  const Architecture a = with_scaling({});
  EXPECT_NEAR(angle(a, 0), 1.0, 1e-6);
  EXPECT_NEAR(angle(a, 1), 0.1, 1e-7);
  EXPECT_NEAR(angle(a, 3), 0.001, 1e-9);
  const RopeTable table = make_rope_table(a, 3);
  EXPECT_EQ(table.cosine[0], 1.0f);
  EXPECT_EQ(table.sine[0], 0.0f);
  EXPECT_NEAR(table.sine[2 * 4 + 1], std::sin(0.2), 1e-7);
}

TEST(Rope, LinearStretchesAll) {
  const Architecture a = with_scaling({RopeScaling::Kind::linear, 4.0});
  EXPECT_NEAR(angle(a, 0), 0.25, 1e-7);
  EXPECT_NEAR(angle(a, 2), 0.0025, 1e-9);
}

// Wavelengths 2 pi / f of the four pairs: 6.3, 63, 628, 6283; with 1024 original positions, kept below 256
// and divided above 1024, blended between.
TEST(Rope, Llama3KeepsShortAndStretchesLong) {
  const Architecture a = with_scaling({RopeScaling::Kind::llama3, 8.0, 1.0, 4.0, 1024});
  EXPECT_NEAR(angle(a, 0), 1.0, 1e-6);
  EXPECT_NEAR(angle(a, 1), 0.1, 1e-7);
  EXPECT_NEAR(angle(a, 3), 0.001 / 8, 1e-9);
  const double smooth = (1024 / (2 * M_PI / 0.01) - 1) / 3;
  EXPECT_NEAR(angle(a, 2), (1 - smooth) * 0.01 / 8 + smooth * 0.01, 1e-8);
}

// A position's values do not depend on how many there are; far ones are as exact as near ones.
TEST(Rope, EveryPositionIsTheRoundedExactValue) {
  Architecture a = with_scaling({});
  a.head_dim = 128;
  const std::int64_t positions = 70001, half = a.head_dim / 2;
  const RopeTable table = make_rope_table(a, positions);
  ASSERT_EQ(table.cosine.size(), static_cast<std::size_t>(positions * half));
  for (std::int64_t p = 0; p < positions; p += p < 1000 ? 1 : 97) {
    for (std::int64_t i = 0; i < half; ++i) {
      const double angle =
          static_cast<double>(p) * std::pow(a.rope_theta, -2.0 * static_cast<double>(i) / 128);
      ASSERT_NEAR(table.cosine[p * half + i], std::cos(angle), 6.1e-8) << p << " " << i;
      ASSERT_NEAR(table.sine[p * half + i], std::sin(angle), 6.1e-8) << p << " " << i;
    }
  }
}
