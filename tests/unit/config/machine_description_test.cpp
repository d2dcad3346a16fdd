// Descriptions of machines: read, refused; and every file of configs/machines.
#include "config/machine_description.hpp"

#include <filesystem>

#include <gtest/gtest.h>

#include "config/named_file.hpp"
#include "unit/config/failure.hpp"

namespace hydrajob {
namespace {

const std::string least =
    "origin: test\ndevice: cuda\nranks_per_node: 4\nmemory_bytes_per_s: 2.0e+12\nmemory_bytes: 8e9\n";

MachineDescription parse(const std::string& yaml) {
  return parse_machine(yaml, "machines/m.yaml");
}
std::string refusal(const std::string& yaml) {
  return failure([&] { parse(yaml); });
}

TEST(MachineDescription, WhatIsNotSaidIsNotKnownOrReachedWhole) {
  const MachineDescription m = parse(least);
  EXPECT_EQ(m.name, "m");
  EXPECT_EQ(m.links.ranks_per_node, 4);
  EXPECT_EQ(m.memory_bytes, 8e9);
  EXPECT_TRUE(m.matmul_flops_per_s.empty());
  EXPECT_EQ(m.links.network.bytes_per_s, 0);
  EXPECT_EQ(m.efficiency.products, 1);
  EXPECT_EQ(m.efficiency.layer_s, 0);
}

TEST(MachineDescription, ReadsEveryKey) {
  const MachineDescription m =
      parse(least +
            "name: 'a machine'\nmatmul_flops_per_s: {bf16: 5e14, f32: 1e14, f16: 6e14}\ncache_bytes: 1e6\n"
            "packed_element_bytes: {f16: 4}\nshortest_part: 256\nspare_results: 1000\nkernels_bytes: 7\n"
            "load_bytes_per_s: 3e9\n"
            "efficiency: {products: 0.8, attention: 0.5, memory: 0.9, layer_s: 1e-5, attention_s: 2e-5}\n"
            "links:\n  node: {latency_s: 1e-6, bytes_per_s: 2e11}\n  peer: {bytes_per_s: 3e11}\n"
            "  network: {latency_s: 3e-6, bytes_per_s: 4e10}\n");
  EXPECT_EQ(m.name, "a machine");
  EXPECT_EQ(m.matmul_flops_per_s.at(DType::bf16), 5e14);
  EXPECT_EQ(m.matmul_flops_per_s.at(DType::f32), 1e14);
  EXPECT_EQ(m.matmul_flops_per_s.at(DType::f16), 6e14);
  EXPECT_EQ(m.cache_bytes, 1e6);
  EXPECT_EQ(m.packed_element_bytes, (std::map<DType, double>{{DType::f16, 4}}));
  EXPECT_EQ(m.shortest_part, 256);
  EXPECT_EQ(m.spare_results, 1000);
  EXPECT_EQ(m.kernels_bytes, 7);
  EXPECT_EQ(m.load_bytes_per_s, 3e9);
  EXPECT_EQ(m.efficiency.products, 0.8);
  EXPECT_EQ(m.efficiency.attention, 0.5);
  EXPECT_EQ(m.efficiency.memory, 0.9);
  EXPECT_EQ(m.efficiency.layer_s, 1e-5);
  EXPECT_EQ(m.efficiency.attention_s, 2e-5);
  EXPECT_EQ(m.efficiency.operation, 0.5) << "as in a model";
  EXPECT_EQ(m.efficiency.operation_s, 2e-5);
  EXPECT_EQ(m.links.node.latency_s, 1e-6);
  EXPECT_EQ(m.links.node.bytes_per_s, 2e11);
  EXPECT_EQ(m.links.peer.latency_s, 0);
  EXPECT_EQ(m.links.peer.bytes_per_s, 3e11);
  EXPECT_EQ(m.links.network.bytes_per_s, 4e10);
}

TEST(MachineDescription, RefusalsNamePlaceAndExpectation) {
  EXPECT_EQ(refusal(least + "memory_byte: 3\n"),
            "machines/m.yaml:6:1: unknown key 'memory_byte': did you mean 'memory_bytes'?");
  EXPECT_EQ(refusal("origin: x\ndevice: cpu\nranks_per_node: 1\nmemory_bytes: 3\n"),
            "machines/m.yaml:1:1: 'memory_bytes_per_s' is missing");
  EXPECT_EQ(refusal("device: cpu\n"), "machines/m.yaml:1:1: 'origin' is missing");
  EXPECT_EQ(refusal("origin: x\ndevice: gpu\nranks_per_node: 1\nmemory_bytes: 3\nmemory_bytes_per_s: 3\n"),
            "machines/m.yaml:2:9: unknown device 'gpu': did you mean 'cpu'?");
  EXPECT_EQ(refusal("origin: x\ndevice: cpu\nranks_per_node: 0\n"),
            "machines/m.yaml:3:17: ranks_per_node: '0': expected a whole number, 1 or more");
  EXPECT_EQ(refusal(least + "matmul_flops_per_s: 5e14\n"),
            "machines/m.yaml:6:21: matmul_flops_per_s: '5e14': expected a map");
  EXPECT_EQ(refusal(least + "matmul_flops_per_s: {bf61: 5e14}\n"),
            "machines/m.yaml:6:22: unknown key 'bf61': did you mean 'bf16'?");
  EXPECT_EQ(refusal(least + "kernels_bytes: -1\n"),
            "machines/m.yaml:6:16: kernels_bytes: '-1': expected a number, 0 or more");
  EXPECT_EQ(refusal(least + "cache_bytes: inf\n"),
            "machines/m.yaml:6:14: cache_bytes: 'inf': expected a number, 0 or more");
  EXPECT_EQ(refusal(least + "efficiency: {products: 1.2}\n"),
            "machines/m.yaml:6:24: products: '1.2': expected a number above 0 and at most 1");
  EXPECT_EQ(refusal(least + "links: {node: {latency_s: 1e-6}}\n"),
            "machines/m.yaml:6:15: 'bytes_per_s' is missing");
  EXPECT_EQ(refusal(least + "links: {nodes: {bytes_per_s: 1}}\n"),
            "machines/m.yaml:6:9: unknown key 'nodes': did you mean 'node'?");
}

TEST(MachineDescription, AllThatComeWithTheProgramAreRead) {
  int files = 0;
  for (const auto& entry : std::filesystem::directory_iterator(HJ_SOURCE_DIR "/configs/machines")) {
    const MachineDescription m = load_machine(entry.path());
    EXPECT_EQ(m.name, entry.path().stem().string());
    EXPECT_GT(m.links.node.bytes_per_s, m.links.network.bytes_per_s) << entry.path();
    ++files;
  }
  EXPECT_GE(files, 3);
}

TEST(NamedFile, IsBesideTheExperimentOrAPath) {
  const std::filesystem::path folder = HJ_SOURCE_DIR "/configs/machines";
  const Place place{"--machine"};
  EXPECT_EQ(named_file("machine", "h200", folder, place), folder / "h200.yaml");
  const std::string path = (folder / "h200.yaml").string();
  EXPECT_EQ(named_file("machine", path, "nowhere", place), path);
  EXPECT_EQ(failure([&] { named_file("machine", "h20", folder, place); }),
            "--machine: unknown machine 'h20': did you mean 'h200'? (" + (folder / "h20.yaml").string() +
                " does not exist)");
  EXPECT_EQ(failure([&] { named_file("machine", "./no.yaml", folder, place); }),
            "--machine: machine: there is no file './no.yaml'");
  EXPECT_EQ(
      failure([&] { named_file("machine", "h200", "nowhere/machines", place); }),
      "--machine: unknown machine 'h200': expected machines/h200.yaml beside the experiment's file, or a "
      "path (nowhere/machines/h200.yaml does not exist)");
}

}  // namespace
}  // namespace hydrajob
