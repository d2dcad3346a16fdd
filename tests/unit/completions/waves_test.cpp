// Waves of random prompts: each completion once, in a batch of what it is, and shared prefixes computed at
// most twice.
#include "completions/waves.hpp"

#include <map>
#include <random>
#include <set>

#include <gtest/gtest.h>

#include "comm/communicator.hpp"
#include "engine/engine.hpp"
#include "engine/layout.hpp"
#include "kernels/kernels.hpp"
#include "weights/weight_source.hpp"

using namespace hydrajob;

namespace {

bool from_four_tokens(std::int64_t, std::int64_t tokens) {
  return tokens >= 4;
}

std::vector<Request> random_requests(std::mt19937& rng) {
  std::vector<Request> requests(1 + rng() % 25);
  for (std::size_t i = 0; i < requests.size(); ++i) {
    Request& request = requests[i];
    if (i > 0) {
      const auto& other = requests[rng() % i].tokens;
      request.tokens.assign(other.begin(),
                            other.begin() + static_cast<std::ptrdiff_t>(rng() % (other.size() + 1)));
    }
    const std::size_t more = rng() % 30 + (request.tokens.empty() ? 1 : 0);
    for (std::size_t k = 0; k < more; ++k) request.tokens.push_back(static_cast<TokenId>(rng() % 4));
    request.n = 1 + static_cast<std::int64_t>(rng() % 4);
    request.max_new_tokens = rng() % 4 == 0 ? 9 : 5;
  }
  return requests;
}

std::vector<std::int64_t> random_numbers(std::mt19937& rng, const std::vector<Request>& requests) {
  std::int64_t n = 0;
  for (const Request& request : requests) n += request.n;
  std::vector<std::int64_t> numbers;
  for (std::int64_t number = 0; number < n; ++number) {
    if (rng() % 5 != 0) numbers.push_back(number);
  }
  return numbers;
}

const Request& request_of(const std::vector<Request>& requests, std::int64_t number) {
  std::size_t i = 0;
  while (number >= requests[i].n) number -= requests[i++].n;
  return requests[i];
}

std::vector<TokenId> path(const Batch& batch, int node) {
  if (node < 0) return {};
  std::vector<TokenId> tokens = path(batch, batch.nodes[node].parent);
  tokens.insert(tokens.end(), batch.nodes[node].tokens.begin(), batch.nodes[node].tokens.end());
  return tokens;
}

Architecture small() {
  Architecture a;
  a.name = "small";
  a.n_layers = 2;
  a.hidden = 256;
  a.n_heads = 4;
  a.n_kv_heads = 4;
  a.head_dim = 64;
  a.intermediate = 256;
  a.vocab = 8000;
  a.max_positions = 400;
  return a;
}

}  // namespace

TEST(Waves, HoldEachCompletionOnceAndKeepWhatTheyBeginWith) {
  const std::uint32_t seed = std::random_device{}();
  SCOPED_TRACE("seed " + std::to_string(seed));
  std::mt19937 rng(seed);
  for (int trial = 0; trial < 200; ++trial) {
    const std::vector<Request> requests = random_requests(rng);
    const std::vector<std::int64_t> numbers = random_numbers(rng, requests);
    const WavePlan plan(requests, numbers, from_four_tokens);
    ASSERT_EQ(plan.size(), static_cast<std::int64_t>(numbers.size()));
    ASSERT_LE(plan.tree_tokens(), plan.prompt_tokens());
    const std::int64_t most = 1 + static_cast<std::int64_t>(rng() % 9);
    std::set<std::int64_t> seen;
    std::map<std::pair<std::int64_t, std::vector<TokenId>>, int> computed;  // by new tokens and path
    Batch last;
    for (std::int64_t first = 0; first < plan.size();) {
      const Wave wave = plan.wave(first, most);
      ASSERT_FALSE(wave.completions.empty());
      ASSERT_LE(static_cast<std::int64_t>(wave.completions.size()), most);
      for (std::size_t i = 0; i < wave.completions.size(); ++i) {
        const Request& request = request_of(requests, wave.completions[i]);
        const Sequence& sequence = wave.batch.sequences[i];
        std::vector<TokenId> tokens = path(wave.batch, sequence.node);
        tokens.insert(tokens.end(), sequence.prompt.begin(), sequence.prompt.end());
        ASSERT_EQ(tokens, request.tokens);
        ASSERT_EQ(wave.batch.new_tokens, request.max_new_tokens);
        ASSERT_EQ(sequence.random_stream, wave.completions[i]);
        ASSERT_TRUE(seen.insert(wave.completions[i]).second);
      }
      ASSERT_EQ(wave.cache_tokens(), make_layout(wave.batch, {}).cache_tokens);
      const std::size_t kept = same_leading_nodes(last, wave.batch);
      for (std::size_t node = kept; node < wave.batch.nodes.size(); ++node) {
        const auto tokens = path(wave.batch, static_cast<int>(node));
        ASSERT_LE((++computed[{wave.batch.new_tokens, tokens}]), 2);
      }
      last = wave.batch;
      first += static_cast<std::int64_t>(wave.completions.size());
    }
    ASSERT_EQ(seen, std::set<std::int64_t>(numbers.begin(), numbers.end()));
  }
}

// What is counted before a wave against what an engine then holds.
TEST(Waves, MemoryIsCountedAsTheEngineTakesIt) {
  const std::uint32_t seed = std::random_device{}();
  SCOPED_TRACE("seed " + std::to_string(seed));
  std::mt19937 rng(seed);
  WaveMemory memory;
  memory.architecture = small();
  memory.device = "cpu";
  memory.sampling = {1, 0.9f, 1};
  const auto device = make_device({});
  const auto kernels = make_kernels(*device, 1);
  const auto self = make_self_communicator();
  const EngineContext context{device.get(), kernels.get(), self.get()};
  const auto weights = make_random_weights(memory.architecture, 1, 1);
  const auto model = load_model(*weights, DType::f32, 64, context);
  for (int trial = 0; trial < 20; ++trial) {
    std::vector<Request> requests = random_requests(rng);
    for (Request& request : requests) request.max_new_tokens = 60;
    std::vector<std::int64_t> numbers = random_numbers(rng, requests);
    if (numbers.empty()) numbers = {0};
    const Wave wave = WavePlan(requests, numbers, from_four_tokens).wave(0, 20);
    Engine engine(model, context);
    GenerateOptions options;
    options.mode = Mode::automatic;
    options.sampling = memory.sampling;
    engine.prepare(wave.batch, options);
    const auto held = static_cast<double>(engine.bytes_prepared());
    const double counted = memory.bytes(wave, wave.cache_tokens());
    constexpr double of_a_thread = 200e3;  // bytes that it has for itself, whatever the wave
    EXPECT_NEAR(counted, held, 0.1 * held + of_a_thread);
  }
}

TEST(Waves, TheLargestThatFitsIsFoundByHalving) {
  std::vector<Request> requests(1);
  requests[0].tokens.assign(100, 1);
  requests[0].n = 64;
  requests[0].max_new_tokens = 10;
  std::vector<std::int64_t> numbers(64);
  for (std::int64_t i = 0; i < 64; ++i) numbers[i] = i;
  const WavePlan plan(requests, numbers, from_four_tokens);
  WaveMemory memory;
  memory.architecture = small();
  memory.device = "cpu";
  const double bytes = memory.bytes(plan.wave(0, 16), 100 + 16 * 10);
  EXPECT_EQ(largest_that_fits(plan, 1000, memory, bytes).batch, 16);
  EXPECT_EQ(largest_that_fits(plan, 1000, memory, bytes).cache_tokens, 100 + 16 * 10);
  EXPECT_EQ(largest_that_fits(plan, 1000, memory, bytes - 1).batch, 8);
  EXPECT_EQ(largest_that_fits(plan, 1000, memory, 1).batch, 1);
  EXPECT_EQ(largest_that_fits(plan, 12, memory, 1e12).batch, 12);
}
