// Waves on an engine: interrupted, or too large for the memory.
#include "completions/generator.hpp"

#include <map>
#include <optional>

#include <gtest/gtest.h>

#include "base/error.hpp"
#include "comm/communicator.hpp"
#include "kernels/kernels.hpp"
#include "sched/stop.hpp"

using namespace hydrajob;

namespace {

constexpr std::int64_t new_tokens = 12;

Architecture tiny() {
  Architecture a;
  a.name = "tiny";
  a.n_layers = 2;
  a.hidden = 32;
  a.n_heads = 2;
  a.n_kv_heads = 2;
  a.head_dim = 16;
  a.intermediate = 48;
  a.vocab = 100;
  a.max_positions = 300;
  return a;
}

// One prompt of many completions, ids only.
class GeneratorTest : public ::testing::Test {
 protected:
  void start(std::size_t memory_cap, std::int64_t completions) {
    DeviceRequest request;
    request.memory_cap = memory_cap;
    device_ = make_device(request);
    kernels_ = make_kernels(*device_, 1);
    context_ = {device_.get(), kernels_.get(), self_.get()};
    requests_.resize(1);
    requests_[0].tokens.assign(50, 7);
    requests_[0].n = completions;
    requests_[0].max_new_tokens = new_tokens;
    for (std::int64_t number = 0; number < completions; ++number) numbers_.push_back(number);
    plan_.emplace(requests_, numbers_, [](std::int64_t, std::int64_t) { return true; });
    rules_.max_new_tokens = new_tokens;
    model_ = load_model(*make_random_weights(tiny(), 1, 1), DType::f32, 64, context_);
    options_.sampling = {1, 1, 5};
    options_.keep_shared = true;
  }

  Generator generator(std::function<void()> check_time = [] {}) {
    return {model_,
            context_,
            {[this](std::int64_t) -> const EndRules& { return rules_; },
             [this](std::int64_t) -> const Request& { return requests_[0]; }, nullptr},
            std::move(check_time)};
  }

  WaveResult run(Generator& generator, std::int64_t first, std::int64_t most) {
    return generator.run(plan_->wave(first, most), options_, [](std::int64_t, std::int64_t) {});
  }

  std::unique_ptr<Communicator> self_ = make_self_communicator();
  std::unique_ptr<Device> device_;
  std::unique_ptr<Kernels> kernels_;
  EngineContext context_;
  std::vector<Request> requests_;
  std::vector<std::int64_t> numbers_;
  std::optional<WavePlan> plan_;
  EndRules rules_;
  std::shared_ptr<const Model> model_;
  GenerateOptions options_;
};

}  // namespace

TEST_F(GeneratorTest, GoesOnWithLessWhereMemoryIsShort) {
  constexpr std::size_t cap = 2 << 20;
  constexpr std::int64_t many = 1000, few = 4;  // the cache of `many` takes 6 MiB
  start(cap, many);
  Generator g = generator();
  EXPECT_EQ(run(g, 0, few).completions.size(), static_cast<std::size_t>(few));
  EXPECT_THROW(run(g, few, many), OutOfMemory);
  const WaveResult result = run(g, few, few);
  EXPECT_EQ(result.completions.size(), static_cast<std::size_t>(few));
  EXPECT_EQ(result.tokens_kept, 0);  // nothing of the batch that failed is relied on
  EXPECT_EQ(run(g, 2 * few, few).tokens_kept, 50);
}

TEST_F(GeneratorTest, AnInterruptionKeepsWhatIsFinished) {
  start(0, 6);
  Generator whole = generator();
  const std::vector<Completion> all = run(whole, 0, 6).completions;
  ASSERT_EQ(all.size(), 6u);
  rules_.eos = {all[0].tokens[3]};

  int checks_left = 6;  // then one of prefill and those of five steps have passed
  Generator g = generator([&] {
    if (checks_left-- == 0) throw Interrupted("told to stop");
  });
  const WaveResult result = run(g, 0, 6);
  EXPECT_TRUE(result.is_interrupted);
  ASSERT_FALSE(result.completions.empty());
  EXPECT_EQ(result.completions[0].number, all[0].number);
  for (const Completion& c : result.completions) {
    EXPECT_EQ(c.reason, FinishReason::eos);
    EXPECT_LT(c.tokens.size(), 6u);
  }
}

TEST_F(GeneratorTest, TokensDoNotDependOnTheWaves) {
  start(0, 9);
  Generator one = generator();
  std::map<std::int64_t, std::vector<TokenId>> expected;
  for (const Completion& c : run(one, 0, 9).completions) expected[c.number] = c.tokens;
  ASSERT_NE(expected.at(0), expected.at(1));
  Generator several = generator();
  for (std::int64_t first = 0; first < 9; first += 4) {
    for (const Completion& c : run(several, first, 4).completions) EXPECT_EQ(c.tokens, expected.at(c.number));
  }
}

TEST_F(GeneratorTest, NothingIsKeptOfAModeWithoutATree) {
  start(0, 8);
  Generator plain = generator();
  std::map<std::int64_t, std::vector<TokenId>> expected;
  for (const Completion& c : run(plain, 4, 4).completions) expected[c.number] = c.tokens;
  for (const Mode without : {Mode::noshared, Mode::noattention}) {
    Generator g = generator();
    options_.mode = without;
    run(g, 0, 4);
    options_.mode = Mode::hydragen;
    const WaveResult result = run(g, 4, 4);
    EXPECT_EQ(result.tokens_kept, 0);
    for (const Completion& c : result.completions) EXPECT_EQ(c.tokens, expected.at(c.number));
  }
}
