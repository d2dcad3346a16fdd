// How completions are cut into batches, one after another, so that neighbours in the tree of what they share
// are in the same one, and what several begin with stays in the cache from one to the next.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "base/dtype.hpp"
#include "completions/request.hpp"
#include "config/architecture.hpp"
#include "engine/batch.hpp"
#include "engine/prefix_tree.hpp"
#include "grid/cost_model.hpp"
#include "grid/run_spec.hpp"
#include "kernels/kernels.hpp"

namespace hydrajob {

// The completions of a batch.
struct Wave {
  Batch batch;
  std::vector<std::int64_t> completions;  // numbers, by sequence of the batch

  std::int64_t cache_tokens() const;  // that it needs room for
};

class WavePlan {
 public:
  // `numbers`: of the completions to do; those of a prompt follow one another, in the prompts' order.
  // `requests` outlive this.
  WavePlan(const std::vector<Request>& requests, const std::vector<std::int64_t>& numbers,
           const WorthSharing& worth_sharing);

  std::int64_t size() const { return static_cast<std::int64_t>(order_.size()); }
  // The wave that begins with the `first`th completion of the plan's order, of `most` at most: of as many as
  // have the same max_new_tokens, which is all of a batch's. Its nodes are the whole tree's: those that begin
  // two waves alike begin their batches alike.
  Wave wave(std::int64_t first, std::int64_t most) const;

  std::int64_t prompt_tokens() const { return prompt_tokens_; }  // of all completions' prompts
  std::int64_t tree_tokens() const {
    return tokens_of(tree_.nodes, tree_.sequences);
  }  // what is different of them

 private:
  const Request& request(std::size_t index) const { return requests_[request_[index]]; }
  std::vector<int> add_nodes(Batch& batch, std::size_t begin, std::size_t end) const;

  const std::vector<Request>& requests_;
  std::vector<std::int64_t> numbers_;
  std::vector<std::size_t> request_;  // by index into numbers_
  std::vector<std::size_t> order_;    // indices into numbers_
  PrefixTree tree_;
  std::int64_t prompt_tokens_ = 0;
};

// What the memory of a wave depends on besides itself.
struct WaveMemory {
  Architecture architecture;
  int tensor_parallel = 1;
  DType dtype = DType::f32;
  std::string device;
  SamplingArgs sampling;
  std::int64_t prefill_chunk = 512;
  Ceilings ceilings;

  // Bytes of one rank, the weights not counted, with room in the cache for `cache_tokens`.
  double bytes(const Wave& wave, std::int64_t cache_tokens) const;
};

// Waves of a plan of `batch` completions at most.
struct WaveSize {
  std::int64_t batch = 1;
  std::int64_t cache_tokens = 0;  // of the largest
};

// The largest, found by halving from `most`, of which each wave fits into `bytes`; a batch of one where none
// does.
WaveSize largest_that_fits(const WavePlan& plan, std::int64_t most, const WaveMemory& memory, double bytes);

}  // namespace hydrajob
