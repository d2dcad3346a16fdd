#include "device/cpu_quota.hpp"

#include <limits>

#include <gtest/gtest.h>

#include "unit/device/tree.hpp"

namespace hydrajob {
namespace {

class CpuQuota : public ::testing::Test {
 protected:
  SystemRoots roots() const { return {tree_.root() / "proc", tree_.root() / "cgroup"}; }
  double quota() const { return cpu_quota(roots()); }
  test::Tree tree_;
};

constexpr double unlimited = std::numeric_limits<double>::infinity();

TEST_F(CpuQuota, IsUnlimitedWhereNothingLimits) {
  EXPECT_EQ(quota(), unlimited);
  tree_.write("proc/self/cgroup", "1:cpu,cpuacct:/job\n0::/job\n");
  EXPECT_EQ(quota(), unlimited);
  tree_.write("cgroup/job/cpu.max", "max 100000\n");
  tree_.write("cgroup/cpu/job/cpu.cfs_quota_us", "-1\n");
  tree_.write("cgroup/cpu/job/cpu.cfs_period_us", "100000\n");
  EXPECT_EQ(quota(), unlimited);
  EXPECT_EQ(within_cpu_quota(8, roots()), 8);
}

TEST_F(CpuQuota, OfTheTightestVersion2GroupAbove) {
  tree_.write("proc/self/cgroup", "0::/job/step\n");
  tree_.write("cgroup/job/cpu.max", "350000 100000\n");
  tree_.write("cgroup/job/step/cpu.max", "max 100000\n");
  EXPECT_EQ(quota(), 3.5);
  tree_.write("cgroup/job/step/cpu.max", "100000 50000\n");
  EXPECT_EQ(quota(), 2);
}

TEST_F(CpuQuota, OfAVersion1Group) {
  tree_.write("proc/self/cgroup", "5:cpuset:/x\n4:cpu,cpuacct:/docker/1\n");
  tree_.write("cgroup/cpu/docker/1/cpu.cfs_quota_us", "400000\n");
  tree_.write("cgroup/cpu/docker/1/cpu.cfs_period_us", "100000\n");
  EXPECT_EQ(quota(), 4);
}

TEST_F(CpuQuota, OfTheMountItselfInAContainerThatDoesNotShowItsGroup) {
  tree_.write("proc/self/cgroup", "0::/\n");
  tree_.write("cgroup/cpu.max", "200000 100000\n");
  EXPECT_EQ(quota(), 2);
}

// More threads than that would stand still together for the rest of every period.
TEST_F(CpuQuota, IsRoundedDownToWholeCoresAndLeavesOne) {
  tree_.write("proc/self/cgroup", "0::/\n");
  tree_.write("cgroup/cpu.max", "250000 100000\n");
  EXPECT_EQ(within_cpu_quota(8, roots()), 2);
  EXPECT_EQ(within_cpu_quota(1, roots()), 1);
  tree_.write("cgroup/cpu.max", "50000 100000\n");
  EXPECT_EQ(within_cpu_quota(8, roots()), 1);
}

}  // namespace
}  // namespace hydrajob
