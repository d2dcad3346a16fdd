// Signals and deadlines, and what a run's time check makes of them.
#include "sched/stop.hpp"

#include <csignal>
#include <cstdlib>
#include <ctime>
#include <map>
#include <string>

#include <gtest/gtest.h>

namespace hydrajob {
namespace {

class StopTest : public testing::Test {
 protected:
  void SetUp() override { forget_slurm(); }
  void TearDown() override { forget_slurm(); }
  static void forget_slurm() {
    unsetenv("SLURM_JOB_END_TIME");
    unsetenv("SLURM_JOB_START_TIME");
  }
  static void set_time(const char* variable, long seconds_from_now) {
    setenv(variable, std::to_string(std::time(nullptr) + seconds_from_now).c_str(), 1);
  }
  static void set_slurm_end(long seconds_from_now) { set_time("SLURM_JOB_END_TIME", seconds_from_now); }
};

TEST_F(StopTest, NothingAskedNothingStopped) {
  StopWatch watch(0);
  EXPECT_EQ(watch.asked(), Stop::no);
  EXPECT_EQ(watch.seconds_left(), std::numeric_limits<double>::infinity());
}

TEST_F(StopTest, TerminationStopsNow) {
  const std::map<int, std::string> names = {{SIGTERM, "SIGTERM"}, {SIGINT, "SIGINT"}, {SIGHUP, "SIGHUP"}};
  for (const auto& [signal, name] : names) {
    StopWatch watch(0);
    std::raise(signal);
    EXPECT_EQ(watch.asked(), Stop::now);
    EXPECT_EQ(watch.reason(), name);
    EXPECT_FALSE(watch.announced());
  }
}

TEST_F(StopTest, Usr1IsIgnored) {
  StopWatch watch(0);
  std::raise(SIGUSR1);
  EXPECT_EQ(watch.asked(), Stop::no);
}

TEST_F(StopTest, AWarningStopsSoonAndDoesNotHideTermination) {
  StopWatch watch(0);
  std::raise(SIGUSR2);
  EXPECT_EQ(watch.asked(), Stop::soon);
  EXPECT_EQ(watch.asked(), Stop::soon);
  std::raise(SIGTERM);
  EXPECT_EQ(watch.asked(), Stop::now);
  EXPECT_TRUE(watch.announced());
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

TEST_F(StopTest, AnEndThatIsPastIsIgnored) {
  set_slurm_end(-60);
  StopWatch watch(0);
  EXPECT_EQ(watch.asked(), Stop::no);
  EXPECT_EQ(watch.longest_run_s(), std::numeric_limits<double>::infinity());
}

TEST_F(StopTest, LongStepsWidenTheMarginUpToTheWarnings) {
  set_slurm_end(1000);
  StopWatch watch(0);
  watch.note_interval(3);
  EXPECT_NEAR(watch.seconds_left(), 990, 1.5);
  watch.note_interval(20);
  watch.note_interval(3);
  EXPECT_NEAR(watch.seconds_left(), 960, 1.5);
  watch.note_interval(500);
  EXPECT_NEAR(watch.seconds_left(), 890, 1.5);
  StopWatch limited(50);
  limited.note_interval(500);
  EXPECT_NEAR(limited.seconds_left(), 45, 0.5);
}

TEST_F(StopTest, ARunCanHaveTheWholeJobNotOnlyTheRest) {
  EXPECT_NEAR(StopWatch(50).longest_run_s(), 45, 0.5);
  set_time("SLURM_JOB_START_TIME", -500);
  set_slurm_end(100);
  StopWatch watch(0);
  EXPECT_NEAR(watch.seconds_left(), 90, 1.5);
  EXPECT_NEAR(watch.longest_run_s(), 590, 1.5);
  EXPECT_NEAR(StopWatch(50).longest_run_s(), 45, 0.5);
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
