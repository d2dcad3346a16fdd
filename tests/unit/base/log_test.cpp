#include "base/log.hpp"

#include <string>

#include <gtest/gtest.h>

#include "base/file.hpp"
#include "unit/base/temporary_folder.hpp"

namespace hydrajob {
namespace {

std::string shown_by(int rank, bool verbose) {
  ::testing::internal::CaptureStderr();
  log::start(rank, std::nullopt, verbose);
  log::debug("a detail");
  log::info("a fact");
  log::warning("a worry");
  log::error("a fault");
  return ::testing::internal::GetCapturedStderr();
}

TEST(Log, RankZeroSpeaks) {
  EXPECT_EQ(shown_by(0, false), "a fact\nwarning: a worry\nerror: a fault\n");
  EXPECT_EQ(shown_by(0, true), "a detail\na fact\nwarning: a worry\nerror: a fault\n");
}

TEST(Log, KnowsWhetherTheConsoleShowsDetails) {
  shown_by(0, false);
  EXPECT_FALSE(log::shows_details());
  shown_by(0, true);
  EXPECT_TRUE(log::shows_details());
  shown_by(1, true);
  EXPECT_FALSE(log::shows_details());
}

TEST(Log, OtherRanksSayErrorsOnly) {
  EXPECT_EQ(shown_by(3, true), "[rank 3] error: a fault\n");
}

TEST(Log, AFolderHoldsEverythingOfEveryRank) {
  const test::TemporaryFolder folder;
  ::testing::internal::CaptureStderr();
  log::start(2, folder.path() / "logs", false);
  log::info("100 % {braces} stay");
  log::debug("a detail");  // written at once: a crash may follow
  ::testing::internal::GetCapturedStderr();
  const std::string text = read_file(folder.path() / "logs" / "rank2.log");
  EXPECT_NE(text.find("debug a detail"), std::string::npos);
  EXPECT_NE(text.find("info 100 % {braces} stay"), std::string::npos);
  log::start(0, std::nullopt, false);
}

}  // namespace
}  // namespace hydrajob
