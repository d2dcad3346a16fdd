#include "completions/waves.hpp"

#include <algorithm>
#include <cmath>
#include <limits>
#include <span>
#include <utility>

namespace hydrajob {
namespace {

// From the roots down.
std::vector<std::int64_t> tokens_by_depth(const std::vector<TreeNode>& nodes) {
  std::vector<std::int64_t> tokens;
  std::vector<std::size_t> depth;
  for (const TreeNode& node : nodes) {
    depth.push_back(node.parent < 0 ? 0 : depth[static_cast<std::size_t>(node.parent)] + 1);
    tokens.resize(std::max(tokens.size(), depth.back() + 1));
    tokens[depth.back()] += static_cast<std::int64_t>(node.tokens.size());
  }
  return tokens;
}

// Where some sequences have prompts and some share their node's logits, one row each is made of both.
double expanded_logits(const RunSpec& spec) {
  const auto rows = static_cast<double>(spec.batch);
  return rows * std::ceil(static_cast<double>(spec.architecture.vocab) / spec.tensor_parallel) *
         sizeof(float);
}

template <class Visit>
void for_each_wave(const WavePlan& plan, std::int64_t batch, const Visit& visit) {
  for (std::int64_t first = 0; first < plan.size();) {
    const Wave wave = plan.wave(first, batch);
    visit(wave);
    first += static_cast<std::int64_t>(wave.completions.size());
  }
}

}  // namespace

std::int64_t Wave::cache_tokens() const {
  const auto rows = static_cast<std::int64_t>(batch.sequences.size());
  return tokens_of(batch.nodes, batch.sequences) + rows * batch.new_tokens;
}

WavePlan::WavePlan(const std::vector<Request>& requests, const std::vector<std::int64_t>& numbers,
                   const WorthSharing& worth_sharing)
    : requests_(requests), numbers_(numbers) {
  std::size_t request = 0;
  std::int64_t end = requests.empty() ? 0 : requests[0].n;  // of the request's numbers
  std::vector<std::span<const std::int32_t>> prompts;
  for (const std::int64_t number : numbers_) {
    while (number >= end) end += requests[++request].n;
    request_.push_back(request);
    prompts.emplace_back(requests[request].tokens);
    prompt_tokens_ += static_cast<std::int64_t>(requests[request].tokens.size());
  }
  tree_ = prefix_tree(prompts, worth_sharing);
  order_ = order_by_prefix(prompts);
  std::stable_sort(order_.begin(), order_.end(), [this](std::size_t a, std::size_t b) {
    return this->request(a).max_new_tokens < this->request(b).max_new_tokens;
  });
}

Wave WavePlan::wave(std::int64_t first, std::int64_t most) const {
  const auto begin = static_cast<std::size_t>(first);
  const std::size_t last = std::min(order_.size(), begin + static_cast<std::size_t>(most));
  Wave wave;
  wave.batch.new_tokens = request(order_[begin]).max_new_tokens;
  std::size_t end = begin;
  while (end < last && request(order_[end]).max_new_tokens == wave.batch.new_tokens) ++end;

  const std::vector<int> place = add_nodes(wave.batch, begin, end);
  for (std::size_t i = begin; i < end; ++i) {
    const Sequence& sequence = tree_.sequences[order_[i]];
    const std::int64_t number = numbers_[order_[i]];
    const int node = sequence.node < 0 ? -1 : place[static_cast<std::size_t>(sequence.node)];
    wave.batch.sequences.push_back({node, sequence.prompt, static_cast<std::int32_t>(number)});
    wave.completions.push_back(number);
  }
  return wave;
}

// Those above the completions order_[begin, end). Returns where each node of the tree stands in the batch;
// -1: nowhere.
std::vector<int> WavePlan::add_nodes(Batch& batch, std::size_t begin, std::size_t end) const {
  constexpr int nowhere = -1, somewhere = 0;
  std::vector<int> place(tree_.nodes.size(), nowhere);
  for (std::size_t i = begin; i < end; ++i) {
    auto node = tree_.sequences[order_[i]].node;
    while (node >= 0 && place[static_cast<std::size_t>(node)] == nowhere) {
      place[static_cast<std::size_t>(node)] = somewhere;
      node = tree_.nodes[static_cast<std::size_t>(node)].parent;
    }
  }
  for (std::size_t node = 0; node < place.size(); ++node) {
    if (place[node] == nowhere) continue;
    const TreeNode& original = tree_.nodes[node];
    place[node] = static_cast<int>(batch.nodes.size());
    batch.nodes.push_back(
        {original.parent < 0 ? -1 : place[static_cast<std::size_t>(original.parent)], original.tokens});
  }
  return place;
}

// The cost model knows even trees only: one with as many tokens at each depth, and prompts of the mean
// length. Of the cache the tokens themselves are counted.
double WaveMemory::bytes(const Wave& wave, std::int64_t cache_tokens) const {
  RunSpec spec;
  spec.mode = Mode::automatic;
  spec.architecture = architecture;
  spec.tensor_parallel = tensor_parallel;
  spec.dtype = dtype;
  spec.device = device;
  spec.temperature = sampling.temperature;
  spec.top_p = sampling.top_p;
  spec.prefill_chunk = prefill_chunk;
  spec.batch = static_cast<std::int64_t>(wave.batch.sequences.size());
  spec.new_tokens = wave.batch.new_tokens;
  std::int64_t prompts = 0, shortest = std::numeric_limits<std::int64_t>::max();  // tokens
  for (const Sequence& sequence : wave.batch.sequences) {
    const auto tokens = static_cast<std::int64_t>(sequence.prompt.size());
    prompts += tokens;
    shortest = std::min(shortest, tokens);
  }
  spec.suffix = (prompts + spec.batch - 1) / spec.batch;
  for (const std::int64_t tokens : tokens_by_depth(wave.batch.nodes)) spec.tree.push_back({1, tokens});
  spec.prefix = path_tokens(spec.tree);
  const MemoryCost cost = cost_of(spec, ceilings).memory;
  const std::int64_t counted = tree_tokens(spec.tree) + spec.batch * (spec.suffix + spec.new_tokens);
  const double token_bytes = cost.kv_cache / static_cast<double>(counted);
  double bytes_needed =
      cost.total() - cost.weights - cost.kv_cache + token_bytes * static_cast<double>(cache_tokens);
  if (shortest == 0 && spec.suffix > 0) bytes_needed += expanded_logits(spec);
  return bytes_needed;
}

WaveSize largest_that_fits(const WavePlan& plan, std::int64_t most, const WaveMemory& memory, double bytes) {
  WaveSize size;
  size.batch = std::max<std::int64_t>(1, std::min(most, plan.size()));
  for (;;) {
    size.cache_tokens = 0;
    for_each_wave(plan, size.batch, [&](const Wave& wave) {
      size.cache_tokens = std::max(size.cache_tokens, wave.cache_tokens());
    });
    double needed = 0;
    for_each_wave(plan, size.batch, [&](const Wave& wave) {
      needed = std::max(needed, memory.bytes(wave, size.cache_tokens));
    });
    if (size.batch == 1 || needed <= bytes) return size;
    size.batch = (size.batch + 1) / 2;
  }
}

}  // namespace hydrajob
