// What is said of a long copy: not too often, with a speed that counts only what this process copied.
#include "main/transfer_progress.hpp"

#include <gtest/gtest.h>

namespace hydrajob {
namespace {

using Seconds = TransferReport::Seconds;

constexpr std::uint64_t gibibyte = std::uint64_t{1} << 30;

TEST(TransferReport, SaysSpeedAndTimeLeftOnceAnInterval) {
  TransferReport report(Seconds(10), false);
  EXPECT_FALSE(report.at(Seconds(100), gibibyte, 12 * gibibyte));
  EXPECT_FALSE(report.at(Seconds(109), 5 * gibibyte, 12 * gibibyte));
  // 10 GiB in 20 s.
  EXPECT_EQ(report.at(Seconds(120), 11 * gibibyte, 12 * gibibyte),
            "11.0 GiB of 12.0 GiB, 0.54 GB/s, 2.0 s left");
  EXPECT_FALSE(report.at(Seconds(121), 12 * gibibyte, 12 * gibibyte));
}

TEST(TransferReport, OfTheFirstCallKnowsNoSpeed) {
  TransferReport report(Seconds(1), true);
  EXPECT_EQ(report.at(Seconds(5), 2 * gibibyte, 4 * gibibyte), "2.00 GiB of 4.00 GiB");
  EXPECT_FALSE(report.at(Seconds(5.5), 3 * gibibyte, 4 * gibibyte));
  EXPECT_EQ(report.at(Seconds(7), 2 * gibibyte, 4 * gibibyte), "2.00 GiB of 4.00 GiB") << "nothing moved";
}

}  // namespace
}  // namespace hydrajob
