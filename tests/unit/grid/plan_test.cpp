// Plans: order, identity, what is skipped and why.
#include "grid/plan.hpp"

#include <sstream>

#include <fmt/format.h>
#include <gtest/gtest.h>

#include "grid/described_machine.hpp"
#include "grid/dry_run.hpp"
#include "unit/grid/support.hpp"

namespace hydrajob {
namespace {

const std::string base = "weights: m.h5\nnew_tokens: 4\n";

std::string order(const Plan& plan, const std::string& a, const std::string& b) {
  std::vector<RunSpec> specs;
  for (const PlannedRun& run : plan.runs) specs.push_back(run.spec);
  return points_text(specs, a, b);
}

Plan plan_of(const std::string& yaml, const PlanRequest& r = request()) {
  return make_plan(experiment(yaml), r);
}

std::string id_of(const std::string& yaml, const PlanRequest& r = request()) {
  return plan_of(yaml, r).runs.front().spec.id;
}

TEST(Order, LargestDegreeThenLongest) {
  const Plan plan = plan_of(base + "tensor_parallel: [1, 4, 2]\nprefix: [8, 512, 64]\n");
  EXPECT_EQ(order(plan, "tensor_parallel", "prefix"), "4/512 4/64 4/8 2/512 2/64 2/8 1/512 1/64 1/8");
}

TEST(Order, WeightsStayTogether) {
  const Plan plan =
      plan_of("new_tokens: 4\nmodel: [tiny, tinyllama-1.1b]\nprefix: [8, 512]\nbatch: [1, 4]\n");
  EXPECT_EQ(order(plan, "model", "prefix"),
            "tinyllama-1.1b/512 tinyllama-1.1b/512 tinyllama-1.1b/8 tinyllama-1.1b/8 tiny/512 tiny/512 "
            "tiny/8 tiny/8");
  // A model of many short runs goes before one of a single longer run.
  const Plan many = plan_of(
      "new_tokens: 4\nblocks:\n  - {model: tinyllama-1.1b, prefix: 8}\n  - {model: tiny, batch: 4, prefix: "
      "1:4000:10}\n");
  EXPECT_EQ(many.runs.front().spec.architecture.name, "tiny");
  EXPECT_EQ(many.runs.back().spec.architecture.name, "tinyllama-1.1b");
  EXPECT_LT(many.runs.front().cost.predicted_s, many.runs.back().cost.predicted_s);
}

TEST(Order, EveryDtypeHasItsCeilings) {
  PlanRequest r = request();
  r.ceilings = {1e12, 0, 0, "bf16"};
  r.ceilings_of["cpu"][DType::f32] = {1e10, 0, 0, "f32"};
  const Plan plan = plan_of(base + "prefix: 8\ndtype: [bf16, f32]\n", r);
  EXPECT_EQ(order(plan, "dtype", "batch"), "f32/1 bf16/1");
  EXPECT_DOUBLE_EQ(plan.runs[0].cost.predicted_s, 100 * plan.runs[1].cost.predicted_s);
}

TEST(Order, EqualRunsKeepTheConfigurationsOrder) {
  PlanRequest unknown = request();
  unknown.ceilings = {};
  EXPECT_EQ(order(plan_of(base + "prefix: [8, 64, 16]\n", unknown), "prefix", "batch"), "8/1 64/1 16/1");
}

TEST(Order, SkippedRunsAreLast) {
  const Plan plan = plan_of(base + "prefix: [8, 64]\nmode: [vllm, paged]\n");
  EXPECT_EQ(order(plan, "mode", "prefix"), "paged/64 paged/8 vllm/64 vllm/8");
}

TEST(Skips, SayWhy) {
  PlanRequest r = request();
  r.ranks = 4;
  EXPECT_EQ(plan_of(base + "prefix: 8\ntensor_parallel: 8\n", r).runs[0].skip_reason, "needs 8 ranks, has 4");
  EXPECT_EQ(plan_of(base + "prefix: 8\nmode: vllm\n", r).runs[0].skip_reason, "no such engine yet");
  EXPECT_EQ(plan_of(base + "prefix: 8\nmode: vllm_notok\n", r).runs[0].skip_reason, "no such engine yet");
  EXPECT_EQ(plan_of(base + "prefix: 8\ndevice: cuda\n", r).runs[0].skip_reason, "needs cuda, has cpu");
  EXPECT_EQ(plan_of(base + "prefix: 8\n", r).runs[0].skip_reason, "");
}

TEST(Skips, MemoryThatIsNotThere) {
  PlanRequest r = request();
  r.ceilings.memory_bytes = 139.0 * (1 << 30);
  const std::string yaml =
      "workload: attention\nmode: noshared\nn_heads: 32\nn_kv_heads: 32\nhead_dim: 128\nprefix: 4096\nl2: "
      "warm\n";
  const Plan plan = plan_of(yaml + "batch: [64, 3200]\n", r);
  EXPECT_EQ(plan.runs[0].skip_reason, "");
  EXPECT_EQ(plan.runs[1].skip_reason, "needs 200 GiB, has 139 GiB");
  r.ceilings.memory_bytes = 0;  // not known
  EXPECT_EQ(plan_of(yaml + "batch: 3200\n", r).runs[0].skip_reason, "");
}

TEST(Skips, UnknownRanksTakeEveryDegree) {
  PlanRequest r = request();
  r.ranks = 0;
  EXPECT_EQ(plan_of(base + "prefix: 8\ntensor_parallel: 8\n", r).runs[0].skip_reason, "");
}

TEST(Notes, IdleRanksAndSpannedNodes) {
  PlanRequest r = request();
  r.ranks = 7;
  r.ranks_per_node = 3;
  EXPECT_EQ(plan_of(base + "prefix: 8\ntensor_parallel: [1, 4]\n", r).notes,
            (std::vector<std::string>{"tensor_parallel 4: 3 of 7 ranks idle",
                                      "tensor_parallel 4: a group spans nodes of 3 ranks"}));
  r.ranks = 8;
  r.ranks_per_node = 4;
  EXPECT_EQ(plan_of("workload: attention\nn_heads: 6\nn_kv_heads: 6\nhead_dim: 8\nprefix: 8\n"
                    "tensor_parallel: [2, 3]\n",
                    r)
                .notes,
            (std::vector<std::string>{"tensor_parallel 3: 2 of 8 ranks idle",
                                      "tensor_parallel 3: some groups span nodes of 4 ranks"}));
}

TEST(Notes, TellOfRatesThatAreNotKnown) {
  PlanRequest r = request();
  r.ceilings_of["cpu"][DType::f32] = {0, 1e11, 0, "test"};
  EXPECT_TRUE(plan_of(base + "prefix: 8\n", r).notes.empty());
  EXPECT_EQ(
      plan_of(base + "prefix: 8\ndtype: [f32, bf16]\n", r).notes,
      (std::vector<std::string>{"dtype f32: no rate of its products is known (matmul_flops_per_s: {f32: …}): "
                                "predicted by bandwidth alone"}));
}

TEST(Identity, IsWhatShapesTheResult) {
  const std::string same = id_of(base + "prefix: 8\n");
  EXPECT_EQ(same.size(), 32u);
  EXPECT_EQ(id_of(base + "prefix: 8\ntimeout: 9\nname: other\n"), same);
  EXPECT_EQ(id_of(base + "tree: 1x8\ndevice: cpu\nmax_iterations: 5\n"), same);
  for (const char* change : {"suffix: 1\n", "iterations: 6\n", "warmup: 0\n", "dtype: f32\n", "mode: paged\n",
                             "max_iterations: 9\n", "target_ci: 0.02\n", "prefill_chunk: 8\n", "seed: 2\n",
                             "temperature: 1\n", "top_p: 0.5\n", "tensor_parallel: 2\n", "batch: 2\n"}) {
    EXPECT_NE(id_of(base + "prefix: 8\n" + change), same) << change;
  }
  EXPECT_NE(id_of(base + "tree: 1x4/1x4\n"), same);
}

TEST(Identity, IsOfTheWeightsAndTheCode) {
  const std::string same = id_of(base + "prefix: 8\n");
  PlanRequest r = request();
  r.code_digest = "other code";
  EXPECT_NE(id_of(base + "prefix: 8\n", r), same);
  r = request();
  r.weights_digest = [](const std::string&) { return "digest of m.h5"; };
  EXPECT_EQ(id_of("weights: elsewhere.h5\nnew_tokens: 4\nprefix: 8\n", r), same);
  r.weights_digest = [](const std::string&) { return "other weights"; };
  EXPECT_NE(id_of(base + "prefix: 8\n", r), same);
}

TEST(Duplicates, NameBothPlaces) {
  const std::string yaml = base + "prefix: 8\nblocks:\n  - {batch: [1, 2]}\n  - {batch: 2, timeout: 5}\n";
  const std::string message = failure([&] { plan_of(yaml); });
  const std::string file = HJ_SOURCE_DIR "/configs/a.yaml";
  EXPECT_EQ(message.substr(0, message.find(": batch=")), file + ":6:5: the same run as in " + file + ":5:5");
}

TEST(Filters, OnlyAndExclude) {
  const std::string yaml = base + "prefix: [8, 64]\nmode: [paged, hydragen, noshared]\n";
  PlanRequest r = request();
  r.only = {"mode=paged,prefix>8", "mode=noshared"};
  EXPECT_EQ(order(plan_of(yaml, r), "mode", "prefix"), "noshared/64 paged/64 noshared/8");
  r.exclude = {"prefix=8"};
  EXPECT_EQ(order(plan_of(yaml, r), "mode", "prefix"), "noshared/64 paged/64");
  r.only = {"mode=auto"};
  EXPECT_NE(failure([&] { plan_of(yaml, r); }).find("no run is left by exclude, --only and --exclude"),
            std::string::npos);
  r.only = {"mod=auto"};
  EXPECT_EQ(failure([&] { plan_of(yaml, r); }),
            "--only 'mod=auto': unknown parameter 'mod': did you mean 'mode'?");
}

TEST(DryRun, PrintsEveryRunAndTheSums) {
  PlanRequest r = request();
  r.ranks = 3;
  r.ceilings = {1e9, 1e9, 0, "test"};
  const Experiment e = experiment(
      "workload: attention\nstore: s.h5\nn_heads: 8\nn_kv_heads: 2\nhead_dim: 64\nl2: warm\nbatch: 16\n"
      "mode: [hydragen, vllm]\nprefix: [1000, 2000]\ntensor_parallel: 2\n");
  std::ostringstream out;
  print_dry_run(out, e, make_plan(e, r), r.ranks);
  EXPECT_EQ(out.str(),
            "run      mode  prefix   memory   FLOPs     bytes  predicted\n"
            "  1  hydragen    2000  553 KiB  32.8 M   516 KiB   196.6 ms\n"
            "  2  hydragen    1000  303 KiB  16.4 M   266 KiB    98.3 ms\n"
            "  3      vllm    2000  553 KiB  32.8 M  7.83 MiB          -  skipped: no such engine yet\n"
            "  4      vllm    1000  303 KiB  16.4 M  3.92 MiB          -  skipped: no such engine yet\n"
            "\n"
            "the same in all: batch=16 device=cpu dtype=bf16 head_dim=64 iterations=5 l2=warm "
            "max_iterations=5 n_heads=8 "
            "n_kv_heads=2 seed=1 suffix=0 target_ci=0.01 tensor_parallel=2 warmup=1 workload=attention\n"
            "\n"
            "a: 4 runs, 2 skipped; store s.h5\n"
            "tensor_parallel 2: 2 runs on 1 group of 2 ranks, predicted 294.9 ms, the longest run 196.6 ms\n"
            "predicted in all: 294.9 ms, at the roofline, loading left out\n"
            "of the ranks' time: 33.3 % idle; 1.0 times as fast as one group\n"
            "note: tensor_parallel 2: 1 of 3 ranks idle\n");
}

// Collectives have a column where a run takes time for them, and their part of all ranks' time: one of three
// ranks is idle, half of what the others take are collectives.
TEST(DryRun, PrintsCollectivesAndTheMachine) {
  MachineDescription machine;
  machine.device = "cpu";
  machine.memory_bytes_per_s = 1e9;
  machine.memory_bytes = 1e9;
  machine.links.ranks_per_node = 8;
  machine.links.node = {1e-3, 1e12};
  PlanRequest r = request();
  r.ranks = 3;
  r.ceilings_of = ceilings_of(machine, 3);
  const Experiment e = experiment(
      "store: s.h5\nmodel: tiny\nnew_tokens: 2\nprefix: 8\nbatch: 2\ntensor_parallel: 2\nmode: [hydragen, "
      "vllm]\n");
  std::ostringstream out;
  const Plan plan = make_plan(e, r);
  print_dry_run(out, e, plan, r.ranks, "on m");
  // Of 4 layers: 9 sums of 2 ms and a gathering of 1 ms, in the prefill and in one step, 6 times.
  EXPECT_NEAR(plan.runs[0].cost.collectives_s, 6 * 2 * 19e-3, 1e-4);
  const std::string text = out.str();
  EXPECT_NE(text.find("collectives  predicted\n"), std::string::npos) << text;
  EXPECT_NE(text.find("  228.0 ms   "), std::string::npos) << text;
  EXPECT_NE(text.find(", on m, loading left out\n"), std::string::npos) << text;
  const double share = 2.0 / 3 * plan.runs[0].cost.collectives_s / plan.runs[0].cost.predicted_s;
  EXPECT_NE(text.find(fmt::format("33.3 % idle, {:.1f} % in collectives; 1.0 times", 100 * share)),
            std::string::npos)
      << text;
}

TEST(DescribedMachine, HasItsMemoryForEveryTypeAndOneNodeForFewRanks) {
  MachineDescription machine;
  machine.device = "cuda";
  machine.memory_bytes = 5;
  machine.matmul_flops_per_s[DType::bf16] = 7;
  machine.matmul_flops_per_s[DType::f16] = 6;
  machine.packed_element_bytes[DType::f16] = 4;
  machine.links.ranks_per_node = 8;
  const CeilingsByDevice ceilings = ceilings_of(machine, 8);
  EXPECT_EQ(ceilings.at("cuda").at(DType::f32).memory_bytes, 5);
  EXPECT_EQ(ceilings.at("cuda").at(DType::f32).matmul_flops_per_s, 0);
  EXPECT_EQ(ceilings.at("cuda").at(DType::bf16).matmul_flops_per_s, 7);
  EXPECT_EQ(ceilings.at("cuda").at(DType::bf16).packed_element_bytes, 0);
  EXPECT_EQ(ceilings.at("cuda").at(DType::f16).matmul_flops_per_s, 6);
  EXPECT_EQ(ceilings.at("cuda").at(DType::f16).packed_element_bytes, 4);
  EXPECT_EQ(ceilings.at("cuda").at(DType::bf16).links.ranks_per_node, 0);
  EXPECT_EQ(ceilings_of(machine, 9).at("cuda").at(DType::bf16).links.ranks_per_node, 8);
  EXPECT_EQ(ceilings_of(machine, 0).at("cuda").at(DType::bf16).links.ranks_per_node, 8);
}

}  // namespace
}  // namespace hydrajob
