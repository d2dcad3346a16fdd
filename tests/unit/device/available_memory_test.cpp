#include "device/available_memory.hpp"

#include <limits>

#include <gtest/gtest.h>

#include "unit/device/tree.hpp"

namespace hydrajob {
namespace {

class AvailableMemory : public ::testing::Test {
 protected:
  void SetUp() override {
    tree_.write("proc/meminfo", "MemTotal:  2000 kB\nMemFree: 1 kB\nMemAvailable:  1000 kB\n");
  }
  std::size_t available() { return available_memory({tree_.root() / "proc", tree_.root() / "cgroup"}); }
  test::Tree tree_;
};

TEST_F(AvailableMemory, OfTheMachineWhereNoGroupLimits) {
  EXPECT_EQ(available(), 1000u * 1024);
  tree_.write("proc/self/cgroup", "0::/\n");
  EXPECT_EQ(available(), 1000u * 1024);
}

TEST_F(AvailableMemory, OfAVersion2GroupWithItsReclaimableFilePages) {
  tree_.write("proc/self/cgroup", "0::/job/step\n");
  tree_.write("cgroup/job/step/memory.max", "500000\n");
  tree_.write("cgroup/job/step/memory.current", "300000\n");
  tree_.write("cgroup/job/step/memory.stat", "anon 1\ninactive_file 100000\n");
  EXPECT_EQ(available(), 300000u);
}

TEST_F(AvailableMemory, OfTheTightestGroupAbove) {
  tree_.write("proc/self/cgroup", "0::/job/step\n");
  tree_.write("cgroup/job/memory.max", "400000\n");
  tree_.write("cgroup/job/memory.current", "350000\n");
  tree_.write("cgroup/job/step/memory.max", "max\n");
  tree_.write("cgroup/job/step/memory.current", "10\n");
  EXPECT_EQ(available(), 50000u);
}

TEST_F(AvailableMemory, OfAVersion1Group) {
  tree_.write("proc/self/cgroup", "5:cpu,cpuacct:/x\n4:memory:/job\n0::/\n");
  tree_.write("cgroup/memory/job/memory.limit_in_bytes", "700000\n");
  tree_.write("cgroup/memory/job/memory.usage_in_bytes", "200000\n");
  EXPECT_EQ(available(), 500000u);
}

TEST_F(AvailableMemory, OfTheMountItselfInAContainerThatDoesNotShowItsGroup) {
  tree_.write("proc/self/cgroup", "0::/not/mounted/here\n");
  tree_.write("cgroup/memory.max", "100000\n");
  tree_.write("cgroup/memory.current", "150000\n");  // over the limit already
  EXPECT_EQ(available(), 0u);
}

TEST_F(AvailableMemory, IsUnlimitedWhereNothingIsKnown) {
  EXPECT_EQ(available_memory({"/nowhere", "/nowhere"}), std::numeric_limits<std::size_t>::max());
}

TEST_F(AvailableMemory, OfThisMachineIsPlausible) {
  EXPECT_GT(available_memory(), std::size_t{1} << 20);
}

}  // namespace
}  // namespace hydrajob
