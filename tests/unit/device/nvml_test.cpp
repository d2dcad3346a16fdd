// What is read from NVML, from libraries that the tests bring along: no GPU is needed.
#include "device/nvml.hpp"

#include <cstdlib>
#include <fstream>
#include <iterator>
#include <vector>

#include <gtest/gtest.h>

#include "unit/base/temporary_folder.hpp"

namespace hydrajob {
namespace {

const std::string uuid = "GPU-01234567-89ab-cdef-0123-456789abcdef";
constexpr const char* not_supported = "3";  // NVML_ERROR_NOT_SUPPORTED

class Nvml : public ::testing::Test {
 protected:
  void TearDown() override {
    for (const std::string& name : set_) unsetenv(name.c_str());
  }
  void set(const std::string& name, const std::string& value) {
    set_.push_back("FAKE_NVML_" + name);
    setenv(set_.back().c_str(), value.c_str(), 1);
  }

  // Nothing is known, and nothing was thrown.
  static void expect_nothing(const GpuMonitor& monitor) {
    EXPECT_FALSE(monitor.condition());
    EXPECT_FALSE(monitor.power_limit_w());
  }

 private:
  std::vector<std::string> set_;
};

TEST_F(Nvml, TellsWhatTheGpuDoes) {
  const GpuMonitor monitor(uuid, FAKE_NVML);
  const auto condition = monitor.condition();
  ASSERT_TRUE(condition);
  EXPECT_EQ(condition->sm_clock_mhz, 1755);
  EXPECT_EQ(condition->throttle_reasons, 0x24u);
  EXPECT_DOUBLE_EQ(condition->power_w.value(), 612.345);
  EXPECT_DOUBLE_EQ(monitor.power_limit_w().value(), 700);
  EXPECT_EQ(monitor.driver_version(), "580.159.04");
}

TEST_F(Nvml, ALibraryThatIsNotThereIsNoError) {
  const GpuMonitor monitor(uuid, "libhydrajob-no-such-library.so.1");
  expect_nothing(monitor);
  EXPECT_EQ(monitor.driver_version(), "");
}

TEST_F(Nvml, ALibraryWithoutItsNamesIsNoError) {
  const GpuMonitor monitor(uuid, "libdl.so.2");
  expect_nothing(monitor);
  EXPECT_EQ(monitor.driver_version(), "");
}

TEST_F(Nvml, OlderDriversHaveTheOlderName) {
  const GpuMonitor monitor(uuid, FAKE_OLD_NVML);
  ASSERT_TRUE(monitor.condition());
  EXPECT_EQ(monitor.condition()->throttle_reasons, 0x8u);
  EXPECT_EQ(monitor.condition()->sm_clock_mhz, 1755);
}

TEST_F(Nvml, WhatALibraryLacksIsMissingAlone) {
  const GpuMonitor monitor(uuid, FAKE_BARE_NVML);
  ASSERT_TRUE(monitor.condition());
  EXPECT_EQ(monitor.condition()->sm_clock_mhz, 1755);
  EXPECT_FALSE(monitor.condition()->throttle_reasons);
  EXPECT_FALSE(monitor.condition()->power_w);
  EXPECT_FALSE(monitor.power_limit_w());
  EXPECT_EQ(monitor.driver_version(), "580.159.04");
}

TEST_F(Nvml, WhatFailsIsMissingAlone) {
  const GpuMonitor monitor(uuid, FAKE_NVML);
  set("nvmlDeviceGetClockInfo", not_supported);
  ASSERT_TRUE(monitor.condition());
  EXPECT_FALSE(monitor.condition()->sm_clock_mhz);
  EXPECT_EQ(monitor.condition()->throttle_reasons, 0x24u);
  set("nvmlDeviceGetCurrentClocksEventReasons", not_supported);
  EXPECT_FALSE(monitor.condition()->throttle_reasons);
  EXPECT_DOUBLE_EQ(monitor.condition()->power_w.value(), 612.345);
  set("nvmlDeviceGetPowerUsage", not_supported);
  EXPECT_FALSE(monitor.condition());  // not an empty one
  EXPECT_TRUE(monitor.power_limit_w());
  set("nvmlDeviceGetPowerManagementLimit", not_supported);
  EXPECT_FALSE(monitor.power_limit_w());
  set("nvmlSystemGetDriverVersion", not_supported);
  EXPECT_EQ(monitor.driver_version(), "");
}

TEST_F(Nvml, AGpuThatItDoesNotKnow) {
  const GpuMonitor other("GPU-ffffffff-89ab-cdef-0123-456789abcdef", FAKE_NVML);
  expect_nothing(other);
  EXPECT_EQ(other.driver_version(), "580.159.04");  // the machine's, whichever GPU
  set("nvmlDeviceGetHandleByUUID", "15");           // NVML_ERROR_GPU_IS_LOST
  expect_nothing(GpuMonitor(uuid, FAKE_NVML));
}

TEST_F(Nvml, ALibraryThatCannotBeInitialised) {
  set("nvmlInit_v2", "9");  // NVML_ERROR_DRIVER_NOT_LOADED
  const GpuMonitor monitor(uuid, FAKE_NVML);
  expect_nothing(monitor);
  EXPECT_EQ(monitor.driver_version(), "");
}

TEST_F(Nvml, IsShutDownAsOftenAsInitialised) {
  const test::TemporaryFolder folder;
  const auto log = folder.path() / "calls";
  set("LOG", log.string());
  {
    const GpuMonitor first(uuid, FAKE_NVML);
    const GpuMonitor second("GPU-of-another-machine", FAKE_NVML);
  }
  set("nvmlInit_v2", "9");
  { const GpuMonitor third(uuid, FAKE_NVML); }
  std::ifstream in(log);
  const std::vector<std::string> calls{std::istream_iterator<std::string>(in), {}};
  EXPECT_EQ(calls, (std::vector<std::string>{"nvmlInit_v2", "nvmlInit_v2", "nvmlShutdown", "nvmlShutdown",
                                             "nvmlInit_v2"}));
}

TEST(CpuCondition, IsNotTold) {
  const auto device = make_device({});
  EXPECT_FALSE(device->condition_after(*device->mark()));
}

}  // namespace
}  // namespace hydrajob
