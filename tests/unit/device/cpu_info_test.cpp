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
    for (int cpu = 0; cpu < 4; ++cpu) {  // two pairs, each with an L3 of its own
      const std::string self = std::to_string(cpu);
      add_cache(cpu, 0, "1", "Data", "32K", self);
      add_cache(cpu, 1, "1", "Instruction", "32K", self);
      add_cache(cpu, 2, "2", "Unified", "1024K", self);
      add_cache(cpu, 3, "3", "Unified", "32768K", cpu < 2 ? "0-1" : "2-3");
    }
    tree_.write("sys/devices/system/node/node0/cpulist", "0\n");
    tree_.write("sys/devices/system/node/node1/cpulist", "1\n");
  }
  void add_cache(int cpu, int index, const std::string& level, const std::string& type,
                 const std::string& size, const std::string& shared) {
    const std::string folder =
        "sys/devices/system/cpu/cpu" + std::to_string(cpu) + "/cache/index" + std::to_string(index);
    tree_.write(folder + "/level", level + "\n");
    tree_.write(folder + "/type", type + "\n");
    tree_.write(folder + "/size", size + "\n");
    tree_.write(folder + "/shared_cpu_list", shared + "\n");
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
}

TEST_F(CpuInfo, AddsUpTheLastLevelCachesOfTheCpusInUse) {
  const auto bytes = [&](const std::vector<int>& cpus) { return last_level_cache_bytes(tree_.root(), cpus); };
  EXPECT_EQ(bytes({0}), std::size_t{32} << 20);
  EXPECT_EQ(bytes({0, 1}), std::size_t{32} << 20);
  EXPECT_EQ(bytes({1, 2}), std::size_t{64} << 20);
  EXPECT_EQ(bytes({0, 1, 2, 3}), std::size_t{64} << 20);
  EXPECT_EQ(bytes({9}), 0u);
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
