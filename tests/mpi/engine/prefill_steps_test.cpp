// A tree computed once and prompts computed again and again give what both at once give, to the bit: on the
// CPU by all ranks, or with HYDRAJOB_TEST_DEVICE=cuda on a GPU.
#include <algorithm>
#include <cmath>
#include <cstdlib>
#include <random>
#include <string>
#include <vector>

#include <gtest/gtest.h>

#include "engine/engine.hpp"
#include "mpi/mpi_main.hpp"
#include "unit/config/failure.hpp"

namespace hydrajob {
namespace {

using test::world;

bool on_gpu() {
  const char* device = std::getenv("HYDRAJOB_TEST_DEVICE");
  return device != nullptr && std::string(device) == "cuda";
}

Architecture small() {
  Architecture a;
  a.name = "small";
  a.n_layers = 2;
  a.hidden = 64;
  a.n_heads = 4;
  a.n_kv_heads = 2;
  a.head_dim = 16;
  a.intermediate = 96;
  a.vocab = 301;
  a.max_positions = 256;
  return a;
}

// What two ways of computing a batch must agree in.
struct Outcome {
  std::vector<float> first, last;  // logits after the prompts, and after the last step
  std::vector<std::int32_t> tokens;
  bool operator==(const Outcome&) const = default;
};

class PrefillSteps : public ::testing::Test {
 protected:
  void SetUp() override {
    if (on_gpu() && visible_gpus() == 0) GTEST_SKIP() << "no GPU is visible";
    DeviceRequest request;
    if (on_gpu()) request.kind = DeviceKind::cuda;
    device_ = make_device(request);
    kernels_ = make_kernels(*device_, 1);
    context_ = {device_.get(), kernels_.get(), &world()};
    seed_ = static_cast<std::uint32_t>(std::random_device()());
    const std::string agreed = world().all_gather(std::to_string(seed_)).front();
    seed_ = static_cast<std::uint32_t>(std::stoul(agreed));
    random_.seed(seed_);
    model_ = load_model(*make_random_weights(small(), seed_, 1), DType::f32, 4, context_);
  }

  std::vector<std::int32_t> tokens(std::size_t n) {
    std::vector<std::int32_t> ids(n);
    for (std::int32_t& id : ids) id = static_cast<std::int32_t>(random_() % 301);
    return ids;
  }

  // A document and a branch of it, with prompts of unlike lengths below both.
  Batch batch() {
    Batch batch;
    batch.new_tokens = 4;
    batch.nodes = {{-1, tokens(50)}, {0, tokens(9)}};
    for (int i = 0; i < 7; ++i) batch.sequences.push_back({i % 2, tokens(1 + random_() % 12)});
    return batch;
  }

  void prepare(Engine& engine, const Batch& batch, Mode mode) {
    GenerateOptions options;
    options.mode = mode;
    options.prefill_chunk = 16;
    engine.prepare(batch, options);
    engine.connect();
  }

  Outcome decoded(Engine& engine) {
    Outcome outcome;
    outcome.first = engine.logits();
    for (int step = 1; step < 4; ++step) engine.decode();
    outcome.last = engine.logits();
    outcome.tokens = engine.tokens();
    return outcome;
  }

  // Modes that attend to the same tokens differ in the order of their sums alone.
  static void expect_near(const std::vector<float>& a, const std::vector<float>& b) {
    ASSERT_EQ(a.size(), b.size());
    float largest = 0;
    for (std::size_t i = 0; i < a.size(); ++i) largest = std::max(largest, std::abs(a[i] - b[i]));
    EXPECT_LT(largest, 1e-3f);
  }

  std::unique_ptr<Device> device_;
  std::unique_ptr<Kernels> kernels_;
  EngineContext context_;
  std::uint32_t seed_ = 0;
  std::mt19937 random_;
  std::shared_ptr<const Model> model_;
};

TEST_F(PrefillSteps, PromptsCanBeComputedAgain) {
  SCOPED_TRACE("seed " + std::to_string(seed_));
  const Batch batch = this->batch();
  std::vector<float> of_hydragen;
  for (const Mode mode : {Mode::hydragen, Mode::noshared, Mode::paged, Mode::noattention}) {
    SCOPED_TRACE(to_string(mode));
    Engine engine(model_, context_);
    prepare(engine, batch, mode);
    engine.prefill();
    const Outcome whole = decoded(engine);
    if (mode == Mode::hydragen) of_hydragen = whole.first;
    if (mode != Mode::noattention) expect_near(whole.first, of_hydragen);
    Engine again(model_, context_);
    prepare(again, batch, mode);
    again.prefill_tree();
    for (int i = 0; i < 3; ++i) {
      again.reset();
      again.prefill_prompts();
      EXPECT_TRUE(decoded(again) == whole) << "time " << i;
    }
  }
}

TEST_F(PrefillSteps, WithoutATreeOrWithoutPromptsItMustBeComputedFirst) {
  const std::string message = "prompts of a batch whose tree has not been computed";
  Batch batch = this->batch();
  batch.sequences.push_back({0, {}});
  Engine engine(model_, context_);
  prepare(engine, batch, Mode::hydragen);
  EXPECT_EQ(failure([&] { engine.prefill_prompts(); }), message);
  engine.prefill();
  const Outcome whole = decoded(engine);
  engine.reset();
  EXPECT_EQ(failure([&] { engine.prefill_prompts(); }), message);
  engine.prefill();
  EXPECT_TRUE(decoded(engine) == whole) << seed_;
}

}  // namespace
}  // namespace hydrajob

HJ_MPI_TEST_MAIN()
