#include "base/units.hpp"

#include <gtest/gtest.h>

namespace hydrajob {
namespace {

TEST(Units, Bytes) {
  EXPECT_EQ(format_bytes(0), "0 B");
  EXPECT_EQ(format_bytes(96), "96 B");
  EXPECT_EQ(format_bytes(1024), "1.00 KiB");
  EXPECT_EQ(format_bytes(1.5 * 1024 * 1024), "1.50 MiB");
  EXPECT_EQ(format_bytes(212.0 * (1 << 30)), "212 GiB");
  EXPECT_EQ(format_bytes(1023.9 * 1024), "1.00 MiB") << "never 1024 KiB";
}

TEST(Units, Seconds) {
  EXPECT_EQ(format_seconds(7e-6), "7.0 us");
  EXPECT_EQ(format_seconds(0.0451), "45.1 ms");
  EXPECT_EQ(format_seconds(3.2), "3.2 s");
  EXPECT_EQ(format_seconds(61), "1 min 01 s");
  EXPECT_EQ(format_seconds(3720), "1 h 02 min");
}

TEST(Units, Counts) {
  EXPECT_EQ(format_count(12), "12");
  EXPECT_EQ(format_count(640e6), "640 M");
  EXPECT_EQ(format_count(1.2e9), "1.20 G");
  EXPECT_EQ(format_count(999.96e6), "1.00 G") << "never 1000 M";
}

}  // namespace
}  // namespace hydrajob
