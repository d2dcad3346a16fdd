#include "grid/peer_reading.hpp"

#include <gtest/gtest.h>

namespace hydrajob {
namespace {

constexpr std::int64_t mib = 1 << 20;

TEST(PeerReading, TwoRanksReadEachOthersPart) {
  const PeerReading reading = peer_reading(2, 256, 4096, 2);
  EXPECT_TRUE(reading.reads);
  EXPECT_FALSE(reading.shares) << "half a part twice is as much";
  EXPECT_EQ(reading.read_bytes, 2 * mib);
  EXPECT_EQ(reading.places, 2);
}

TEST(PeerReading, ManyShareWhatIsMuch) {
  const PeerReading small = peer_reading(4, 64, 4096, 2), large = peer_reading(4, 1024, 4096, 2);
  EXPECT_FALSE(small.shares);
  EXPECT_EQ(small.read_bytes, 3 * mib / 2);
  EXPECT_TRUE(large.shares);
  EXPECT_EQ(large.read_bytes, 12 * mib) << "instead of 24";
  EXPECT_EQ(large.part_bytes, 8 * mib);
  EXPECT_EQ(large.places, 3);
}

TEST(PeerReading, ColumnsThatDoNotDivideAreNotShared) {
  EXPECT_FALSE(peer_reading(3, 1024, 4096, 2).shares);
  EXPECT_TRUE(peer_reading(3, 1024, 4096 / 8 * 6, 2).shares);
}

TEST(PeerReading, WhatIsTooMuchIsLeftToACollective) {
  EXPECT_TRUE(peer_reading(8, 2048, 4096, 2).reads);  // 28 MiB
  EXPECT_FALSE(peer_reading(8, 4096, 4096, 2).reads);
  EXPECT_FALSE(peer_reading(9, 1, 8, 2).reads);
  EXPECT_FALSE(peer_reading(1, 1, 8, 2).reads);
  EXPECT_FALSE(peer_reading(2, 0, 8, 2).reads);
}

TEST(PeerReading, PlacesAreAligned) {
  EXPECT_EQ(peer_reading(2, 3, 8, 2).part_bytes, 256U);
}

}  // namespace
}  // namespace hydrajob
