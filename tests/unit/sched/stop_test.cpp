// Signals and deadlines, and what a run's time check makes of them.
#include "sched/stop.hpp"

#include <csignal>
#include <cstdlib>
#include <ctime>

#include <gtest/gtest.h>

namespace hydrajob {
namespace {

class StopTest : public testing::Test {
 protected:
  void SetUp() override { unsetenv("SLURM_JOB_END_TIME"); }
  void TearDown() override { unsetenv("SLURM_JOB_END_TIME"); }
  static void set_slurm_end(double seconds_from_now) {
    setenv("SLURM_JOB_END_TIME",
           std::to_string(std::time(nullptr) + static_cast<long>(seconds_from_now)).c_str(), 1);
  }
};

TEST_F(StopTest, NothingAskedNothingStopped) {
  StopWatch watch(0);
  EXPECT_EQ(watch.asked(), Stop::no);
  EXPECT_EQ(watch.seconds_left(), std::numeric_limits<double>::infinity());
}

TEST_F(StopTest, TerminationStopsNow) {
  for (const int signal : {SIGTERM, SIGINT}) {
    StopWatch watch(0);
    std::raise(signal);
    EXPECT_EQ(watch.asked(), Stop::now);
    EXPECT_EQ(watch.reason(), signal == SIGTERM ? "SIGTERM" : "SIGINT");
  }
}

TEST_F(StopTest, AWarningStopsSoonAndDoesNotHideTermination) {
  StopWatch watch(0);
  std::raise(SIGUSR2);
  EXPECT_EQ(watch.asked(), Stop::soon);
  EXPECT_EQ(watch.asked(), Stop::soon);
  std::raise(SIGTERM);
  EXPECT_EQ(watch.asked(), Stop::now);
  std::raise(SIGUSR2);
  EXPECT_EQ(watch.asked(), Stop::now);
}

TEST_F(StopTest, SignalsAreTheirOldSelvesAfterwards) {
  struct sigaction before {
  }, after{};
  sigaction(SIGTERM, nullptr, &before);
  { StopWatch watch(0); }
  sigaction(SIGTERM, nullptr, &after);
  EXPECT_EQ(before.sa_handler, after.sa_handler);
}

TEST_F(StopTest, TheSoonerLimitCountsAndLeavesAMargin) {
  EXPECT_NEAR(StopWatch(50).seconds_left(), 45, 0.5);     // a tenth
  EXPECT_NEAR(StopWatch(1000).seconds_left(), 990, 0.5);  // ten seconds
  set_slurm_end(100);
  EXPECT_NEAR(StopWatch(0).seconds_left(), 90, 1.5);
  EXPECT_NEAR(StopWatch(1000).seconds_left(), 90, 1.5);
  EXPECT_NEAR(StopWatch(50).seconds_left(), 45, 0.5);
}

TEST_F(StopTest, AfterTheDeadlineItIsTimeToStopNow) {
  set_slurm_end(5);
  StopWatch watch(0);
  EXPECT_EQ(watch.asked(), Stop::now);
  EXPECT_NE(watch.reason().find("left of the job's time"), std::string::npos);
}

TEST_F(StopTest, TheTimeCheckTellsTimeLimitsFromInterruptions) {
  const auto self = make_self_communicator();
  StopWatch watch(0);
  EXPECT_NO_THROW(make_time_check(*self, watch, 0)());
  EXPECT_NO_THROW(make_time_check(*self, watch, 60)());
  const auto tight = make_time_check(*self, watch, 1e-9);
  timespec moment{0, 1000000};
  nanosleep(&moment, nullptr);
  EXPECT_THROW(tight(), TimeLimit);
  std::raise(SIGUSR2);
  EXPECT_NO_THROW(make_time_check(*self, watch, 60)());
  std::raise(SIGTERM);
  EXPECT_THROW(make_time_check(*self, watch, 60)(), Interrupted);
}

}  // namespace
}  // namespace hydrajob
