#include "device/placement.hpp"

#include <gtest/gtest.h>

#include "device/cpu_info.hpp"
#include "unit/device/tree.hpp"

namespace hydrajob {
namespace {

using Cpus = std::vector<int>;

TEST(Placement, ReadsTheCpusThatAreLocalToADevice) {
  test::Tree tree;
  tree.write("sys/bus/pci/devices/0000:0f:00.0/local_cpulist", "0-2,8,10-11\n");
  EXPECT_EQ(cpus_near("0000:0F:00.0", tree.root()), (Cpus{0, 1, 2, 8, 10, 11}));
  EXPECT_EQ(cpus_near("0000:10:00.0", tree.root()), Cpus{}) << "the system does not tell";
  tree.write("sys/bus/pci/devices/0000:10:00.0/local_cpulist", "\n");
  EXPECT_EQ(cpus_near("0000:10:00.0", tree.root()), Cpus{});
}

TEST(Placement, CountsTheCpusThatAreOnline) {
  test::Tree tree;
  EXPECT_EQ(cpus_online(tree.root()), 0);
  tree.write("sys/devices/system/cpu/online", "0-3,6\n");
  EXPECT_EQ(cpus_online(tree.root()), 5);
}

TEST(Placement, BindsOnlyARankThatNobodyBound) {
  EXPECT_EQ(cpus_to_bind_to({2, 3}, {0, 1, 2, 3}, 0), Cpus{}) << "it is not known whether it is bound";
  EXPECT_EQ(cpus_to_bind_to({2, 3}, {0, 1, 2, 3}, 4), (Cpus{2, 3}));
  EXPECT_EQ(cpus_to_bind_to({2, 3}, {0, 1, 2}, 4), Cpus{}) << "its launcher has";
  EXPECT_EQ(cpus_to_bind_to({0, 1, 2, 3}, {0, 1, 2, 3}, 4), Cpus{}) << "all are near";
  EXPECT_EQ(cpus_to_bind_to({}, {0, 1, 2, 3}, 4), Cpus{}) << "it is not known which are";
}

TEST(Placement, TellsARankThatIsFar) {
  EXPECT_TRUE(is_far({2, 3}, {0, 1}));
  EXPECT_FALSE(is_far({2, 3}, {1, 2}));
  EXPECT_FALSE(is_far({}, {0, 1}));
}

TEST(Placement, BindsTheThread) {
  const Cpus before = cpus_allowed();
  ASSERT_FALSE(before.empty());
  ASSERT_TRUE(bind_to({before.back()}));
  EXPECT_EQ(cpus_allowed(), Cpus{before.back()});
  EXPECT_TRUE(bind_to(before));
  EXPECT_FALSE(bind_to({}));
}

}  // namespace
}  // namespace hydrajob
