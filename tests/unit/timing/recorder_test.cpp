#include "timing/recorder.hpp"

#include <chrono>
#include <optional>
#include <string>
#include <thread>

#include <gtest/gtest.h>

#include "unit/forwarding_device.hpp"

namespace hydrajob {
namespace {

PhaseSample sample(const std::string& phase, std::int32_t iteration, std::int32_t step, bool warmup,
                   std::int32_t rank, double seconds) {
  return {phase, iteration, step, warmup, rank, seconds, {}};
}

class RecorderTest : public ::testing::Test {
 protected:
  std::unique_ptr<Device> device_ = make_device({});
  std::unique_ptr<Communicator> self_ = make_self_communicator();
  Recorder recorder_{*device_, *self_};
};

TEST_F(RecorderTest, KeepsNestedIntervalsWithAllTheyWereGiven) {
  const auto whole = recorder_.begin("total", 2, 0, true);
  const auto part = recorder_.begin("decode_step", 2, 7, true);
  std::this_thread::sleep_for(std::chrono::milliseconds(5));
  recorder_.end(part);
  recorder_.end(whole);
  const auto samples = recorder_.collect();
  ASSERT_EQ(samples.size(), 2u);
  EXPECT_EQ(samples[0].phase, "total");
  EXPECT_EQ(samples[1].phase, "decode_step");
  EXPECT_EQ(samples[1].iteration, 2);
  EXPECT_EQ(samples[1].step, 7);
  EXPECT_TRUE(samples[1].warmup);
  EXPECT_EQ(samples[1].rank, 0);
  EXPECT_GE(samples[1].seconds, 0.005);
  EXPECT_GE(samples[0].seconds, samples[1].seconds);
}

TEST_F(RecorderTest, IsEmptyAfterCollecting) {
  recorder_.end(recorder_.begin("prefill", 0, 0, false));
  EXPECT_EQ(recorder_.collect().size(), 1u);
  EXPECT_TRUE(recorder_.collect().empty());
}

TEST_F(RecorderTest, LeavesOutWhatNeverEnded) {
  recorder_.begin("prefill", 0, 0, false);
  recorder_.end(recorder_.begin("total", 0, 0, false));
  const auto samples = recorder_.collect();
  ASSERT_EQ(samples.size(), 1u);
  EXPECT_EQ(samples[0].phase, "total");
}

// Tells which mark it was asked for: conditions are numbered by it.
class TellingDevice final : public ForwardingDevice {
 public:
  int readings = 0;
  bool tells = true;

  std::unique_ptr<Mark> mark() override { return std::make_unique<Numbered>(next_++); }
  double seconds_between(const Mark& begin, const Mark& end) const override {
    return number(end) - number(begin);
  }
  std::optional<DeviceCondition> condition_after(const Mark& mark) override {
    ++readings;
    if (!tells) return std::nullopt;
    return DeviceCondition{number(mark), 4, std::nullopt};
  }

 private:
  struct Numbered final : Mark {
    explicit Numbered(int n) : number(n) {}
    int number;
  };
  static double number(const Mark& mark) { return static_cast<const Numbered&>(mark).number; }
  int next_ = 0;
};

TEST(Observe, GivesOneReadingToTheIntervalsOfAnIteration) {
  TellingDevice device;
  const auto self = make_self_communicator();
  Recorder recorder(device, *self);
  recorder.end(recorder.begin("load", 0, 0, false));  // marks 0 and 1
  for (int iteration = 0; iteration < 2; ++iteration) {
    const auto first = recorder.begin("prefill", iteration, 0, false);
    recorder.end(first);
    for (int step = 1; step < 5; ++step) recorder.end(recorder.begin("decode_step", iteration, step, false));
    recorder.observe(first);
  }
  EXPECT_EQ(device.readings, 2);
  const auto samples = recorder.collect();
  ASSERT_EQ(samples.size(), 11u);
  EXPECT_FALSE(samples[0].condition.sm_clock_mhz);
  for (std::size_t i = 1; i < samples.size(); ++i) {
    EXPECT_EQ(samples[i].condition.sm_clock_mhz, i < 6 ? 6 : 16) << i;  // the third interval's beginning
    EXPECT_EQ(samples[i].condition.throttle_reasons, 4u);
    EXPECT_FALSE(samples[i].condition.power_w);
  }
  recorder.observe(0);  // of nothing
  EXPECT_EQ(device.readings, 2);
}

TEST(Observe, OfADeviceThatDoesNotTellLeavesSamplesAsTheyAre) {
  TellingDevice device;
  device.tells = false;
  const auto self = make_self_communicator();
  Recorder recorder(device, *self);
  recorder.end(recorder.begin("attention", 0, 0, false));
  recorder.observe(0);
  const auto samples = recorder.collect();
  ASSERT_EQ(samples.size(), 1u);
  EXPECT_FALSE(samples[0].condition.sm_clock_mhz);
  EXPECT_FALSE(samples[0].condition.throttle_reasons);
}

TEST(SlowestRank, TakesTheMaximumOfEachStepInOrder) {
  const std::vector<PhaseSample> samples{
      sample("decode_step", 1, 0, false, 0, 5), sample("decode_step", 0, 1, false, 0, 2),
      sample("decode_step", 0, 0, false, 0, 1), sample("decode_step", 0, 0, false, 1, 3),
      sample("decode_step", 0, 1, false, 1, 1), sample("decode_step", 0, 0, true, 0, 100),
      sample("prefill", 0, 0, false, 0, 50)};
  EXPECT_EQ(slowest_rank(samples, "decode_step", false), (std::vector<double>{3, 2, 5}));
  EXPECT_EQ(slowest_rank(samples, "decode_step", true), (std::vector<double>{100}));
  EXPECT_TRUE(slowest_rank(samples, "total", false).empty());
}

}  // namespace
}  // namespace hydrajob
