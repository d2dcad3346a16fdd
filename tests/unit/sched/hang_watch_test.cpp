#include "sched/hang_watch.hpp"

#include <chrono>
#include <future>
#include <thread>

#include <gtest/gtest.h>

namespace hydrajob {
namespace {

using namespace std::chrono_literals;

class HangWatchTest : public testing::Test {
 protected:
  std::promise<std::string> told_;
  std::future<std::string> phase_ = told_.get_future();
  std::function<void(const std::string&)> tell_ = [this](const std::string& phase) {
    told_.set_value(phase);
  };
};

TEST_F(HangWatchTest, NamesThePhaseInWhichNothingWasHeard) {
  HangWatch watch(0.05, tell_);
  watch.enter("preparing");
  watch.enter("measuring");
  ASSERT_EQ(phase_.wait_for(20s), std::future_status::ready);
  EXPECT_EQ(phase_.get(), "measuring");
}

TEST_F(HangWatchTest, SignsOfLifePutItOff) {
  HangWatch watch(2, tell_);
  watch.enter("measuring");
  for (int i = 0; i < 60; ++i) {
    std::this_thread::sleep_for(50ms);
    watch.alive();
  }
  EXPECT_EQ(phase_.wait_for(0s), std::future_status::timeout) << "after three seconds of signs";
  EXPECT_EQ(phase_.wait_for(20s), std::future_status::ready);
}

TEST_F(HangWatchTest, WithoutALimitThereIsNone) {
  {
    HangWatch watch(0, tell_);
    watch.enter("measuring");
    EXPECT_EQ(phase_.wait_for(50ms), std::future_status::timeout);
  }
  EXPECT_EQ(phase_.wait_for(0s), std::future_status::timeout);
}

TEST_F(HangWatchTest, EndsAtOnceWithItsRun) {
  const auto begin = std::chrono::steady_clock::now();
  { HangWatch watch(3600, tell_); }
  EXPECT_LT(std::chrono::steady_clock::now() - begin, 60s);
}

}  // namespace
}  // namespace hydrajob
