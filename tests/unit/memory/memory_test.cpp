// What the plan says that a run holds, against what it does: on the CPU, or with HYDRAJOB_TEST_DEVICE=cuda on
// a GPU, whose driver is asked too.
#include <cstdlib>
#include <iostream>
#include <optional>
#include <string>
#include <vector>

#include <fmt/format.h>
#include <gtest/gtest.h>

#include "base/units.hpp"
#include "timing/ceilings.hpp"
#include "workload/model_cache.hpp"
#include "workload/workload.hpp"

namespace hydrajob {
namespace {

constexpr double tolerance = 0.03;

bool on_gpu() {
  const char* device = std::getenv("HYDRAJOB_TEST_DEVICE");
  return device != nullptr && std::string(device) == "cuda";
}

// One rank with its device's own kernels, and the ceilings that a plan is made with.
class Rank {
 public:
  explicit Rank(DType dtype) : before_(device_->memory_in_use()), kernels_(make_kernels(*device_, threads)) {
    ceilings_ = measure_ceilings(*device_, *kernels_, *self_, dtype);
  }

  RunCost cost(const RunSpec& spec) const { return cost_of(spec, ceilings_); }
  Device& device() { return *device_; }
  // Since this rank began, as the driver tells.
  double in_use() const { return static_cast<double>(*device_->memory_in_use() - *before_); }

  std::unique_ptr<Workload> prepared(const RunSpec& spec) {
    WorkloadContext context;
    context.engine = {device_.get(), kernels_.get(), self_.get()};
    context.ceilings = ceilings_;
    context.models = &models_;
    context.threads = threads;
    context.check_time = [] {};
    auto workload = make_workload({spec, cost(spec), ""}, context);
    workload->prepare();
    workload->connect();
    return workload;
  }

 private:
  static constexpr int threads = 2;

  std::unique_ptr<Device> device_ =
      make_device({on_gpu() ? DeviceKind::cuda : DeviceKind::cpu, 0, 1, threads});
  std::optional<std::size_t> before_;
  std::unique_ptr<Kernels> kernels_;
  std::unique_ptr<Communicator> self_ = make_self_communicator();
  ModelCache models_;
  Ceilings ceilings_;
};

RunSpec generate(Mode mode, DType dtype, std::vector<TreeLevel> tree, std::int64_t batch, std::int64_t suffix,
                 std::int64_t new_tokens) {
  RunSpec s;
  Architecture& a = s.architecture;
  a.name = "middle";
  a.n_layers = 4;
  a.hidden = 512;
  a.n_heads = 8;
  a.n_kv_heads = 4;
  a.head_dim = 64;
  a.intermediate = 1536;
  a.vocab = 8000;
  a.max_positions = 65536;
  s.mode = mode;
  s.dtype = dtype;
  s.prefix = path_tokens(tree);
  s.tree = std::move(tree);
  s.batch = batch;
  s.suffix = suffix;
  s.new_tokens = new_tokens;
  return s;
}

RunSpec attention(Mode mode, DType dtype, std::vector<TreeLevel> tree, std::int64_t batch,
                  std::int64_t suffix, L2State l2) {
  RunSpec s = generate(mode, dtype, std::move(tree), batch, suffix, 0);
  s.workload = WorkloadKind::attention;
  s.n_heads = 32;
  s.n_kv_heads = 8;
  s.head_dim = 128;
  s.l2 = l2;
  return s;
}

RunSpec needles(Mode mode, DType dtype, std::int64_t prefix, std::int64_t questions) {
  RunSpec s = generate(mode, dtype, {{1, prefix}}, questions, 20, 10);
  s.workload = WorkloadKind::needles;
  s.n_needles = 256;
  return s;
}

RunSpec nucleus(RunSpec s) {
  s.temperature = 1;
  s.top_p = 0.9;
  return s;
}

RunSpec tied(RunSpec s) {
  s.architecture.tied_embeddings = true;
  return s;
}

std::vector<RunSpec> runs(DType dtype) {
  return {
      generate(Mode::hydragen, dtype, {{1, 2000}}, 16, 20, 40),
      generate(Mode::hydragen, dtype, {{1, 300}, {4, 100}, {8, 50}}, 32, 0, 20),
      generate(Mode::hydragen, dtype, {}, 4, 700, 3),
      generate(Mode::paged, dtype, {{1, 900}, {3, 70}}, 24, 5, 30),
      generate(Mode::noshared, dtype, {{1, 500}}, 20, 10, 20),
      generate(Mode::noattention, dtype, {{1, 500}}, 200, 10, 20),
      generate(Mode::automatic, dtype, {{1, 100}, {2, 10}}, 2, 1, 1),
      nucleus(generate(Mode::hydragen, dtype, {{1, 50}}, 500, 3, 9)),
      tied(generate(Mode::hydragen, dtype, {{1, 200}}, 64, 4, 9)),
      needles(Mode::hydragen, dtype, 2000, 64),
      needles(Mode::noshared, dtype, 1000, 8),
      attention(Mode::hydragen, dtype, {{1, 5000}}, 64, 500, L2State::warm),
      attention(Mode::paged, dtype, {{1, 5000}, {4, 300}}, 64, 500, L2State::cold),
      attention(Mode::noshared, dtype, {{1, 800}}, 64, 0, L2State::warm),
  };
}

std::string text(const RunSpec& s) {
  return fmt::format("{} {} {} tree {} batch {} suffix {} new {}", to_string(s.workload), to_string(s.mode),
                     name_of(s.dtype), to_string(s.tree), s.batch, s.suffix, s.new_tokens);
}

// Says what was compared, for whoever reads the log.
void expect_planned(double planned, double real, const std::string& what) {
  std::cout << fmt::format("{:.4f} = {} / {}: {}\n", planned / real, format_bytes(planned),
                           format_bytes(real), what);
  EXPECT_NEAR(planned / real, 1, tolerance) << what;
}

class Memory : public ::testing::Test {
 protected:
  void SetUp() override {
    if (on_gpu() && visible_gpus() == 0) GTEST_SKIP() << "no GPU is visible";
  }
};

TEST_F(Memory, IsWhatThePlanSays) {
  for (const DType dtype : every_dtype) {
    Rank rank(dtype);
    for (const RunSpec& spec : runs(dtype)) {
      const auto workload = rank.prepared(spec);
      expect_planned(rank.cost(spec).memory.total(), static_cast<double>(rank.device().memory_held()),
                     text(spec));
    }
  }
}

// Code, graphs and the library's own are in the driver's number: little beside a model that fills a GPU, a
// few percent of one GiB.
TEST_F(Memory, IsWhatTheDriverSays) {
  if (!on_gpu()) GTEST_SKIP() << "no driver is asked on the CPU; HYDRAJOB_TEST_DEVICE=cuda asks a GPU's";
  RunSpec spec = generate(Mode::hydragen, DType::bf16, {{1, 4000}}, 256, 100, 200);
  spec.architecture.n_layers = 24;
  spec.architecture.hidden = 2048;
  spec.architecture.n_heads = 16;
  spec.architecture.n_kv_heads = 8;
  spec.architecture.head_dim = 128;
  spec.architecture.intermediate = 5632;
  spec.warmup = 0;
  spec.iterations = spec.max_iterations = 1;
  Rank rank(spec.dtype);
  const MemoryCost planned = rank.cost(spec).memory;
  constexpr double page = 4096;
  ASSERT_GE(planned.total(), double{1 << 30});
  ASSERT_TRUE(rank.device().reserve(static_cast<std::size_t>(planned.total() + page * planned.buffers)));
  const auto workload = rank.prepared(spec);
  workload->measure();
  expect_planned(planned.total(), static_cast<double>(rank.device().memory_held()), text(spec));
  expect_planned(planned.total(), rank.in_use(), text(spec) + ", the driver");
}

// Between two runs with the same weights: nothing is loaded, nothing asked of the driver.
TEST_F(Memory, SmallerRunsTakeNothingMoreFromTheDriver) {
  if (!on_gpu()) GTEST_SKIP() << "no driver is asked on the CPU; HYDRAJOB_TEST_DEVICE=cuda asks a GPU's";
  const RunSpec large = generate(Mode::noshared, DType::bf16, {{1, 2000}}, 256, 20, 40);
  Rank rank(large.dtype);
  const MemoryCost planned = rank.cost(large).memory;
  ASSERT_TRUE(rank.device().reserve(static_cast<std::size_t>(planned.total() + 4096 * planned.buffers)));
  rank.prepared(large)->measure();  // loads code
  const double before = rank.in_use();
  for (const std::int64_t batch : {256, 16, 128, 1}) {
    RunSpec spec = large;
    spec.batch = batch;
    const auto workload = rank.prepared(spec);
    EXPECT_NEAR(rank.in_use(), before, 16 << 20) << "batch " << batch;
  }
}

}  // namespace
}  // namespace hydrajob
