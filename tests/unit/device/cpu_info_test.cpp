#include "device/cpu_info.hpp"

#include <gtest/gtest.h>

#include "unit/device/tree.hpp"

namespace hydrajob {
namespace {

class CpuInfo : public ::testing::Test {
 protected:
  void SetUp() override {
    tree_.write(
        "proc/cpuinfo",
        "processor\t: 0\nmodel name\t: Some CPU 9000\nflags\t\t: fpu avx avx2 fma avx512f avx512_bf16\n");
    tree_.write("proc/meminfo", "MemTotal:       2097152 kB\n");
    add_cache(0, "1", "Data", "32K");
    add_cache(1, "1", "Instruction", "32K");
    add_cache(2, "2", "Unified", "1024K");
    add_cache(3, "3", "Unified", "32768K");
    tree_.write("sys/devices/system/node/node0/cpulist", "0\n");
    tree_.write("sys/devices/system/node/node1/cpulist", "1\n");
  }
  void add_cache(int index, const std::string& level, const std::string& type, const std::string& size) {
    const std::string folder = "sys/devices/system/cpu/cpu0/cache/index" + std::to_string(index);
    tree_.write(folder + "/level", level + "\n");
    tree_.write(folder + "/type", type + "\n");
    tree_.write(folder + "/size", size + "\n");
  }
  test::Tree tree_;
};

TEST_F(CpuInfo, ReadsWhatTheSystemTells) {
  const auto facts = describe_cpu(tree_.root());
  EXPECT_EQ(facts.at("cpu_model"), "Some CPU 9000");
  EXPECT_EQ(facts.at("isa"), "avx avx2 fma avx512f avx512_bf16");
  EXPECT_EQ(facts.at("cache_l1d"), "32.0 KiB");
  EXPECT_EQ(facts.at("cache_l2"), "1.00 MiB");
  EXPECT_EQ(facts.at("cache_l3"), "32.0 MiB");
  EXPECT_EQ(facts.at("numa_nodes"), "2");
  EXPECT_EQ(facts.at("memory"), "2.00 GiB");
  EXPECT_EQ(last_level_cache_bytes(tree_.root()), std::size_t{32} << 20);
}

TEST_F(CpuInfo, LeavesOutWhatTheSystemDoesNotTell) {
  const auto facts = describe_cpu("/nowhere");
  EXPECT_FALSE(facts.contains("cpu_model"));
  EXPECT_FALSE(facts.contains("cache_l3"));
  EXPECT_FALSE(facts.contains("numa_nodes"));
  EXPECT_EQ(last_level_cache_bytes("/nowhere"), 0u);
}

}  // namespace
}  // namespace hydrajob
