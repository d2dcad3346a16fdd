// The inference engine of one rank of a group: a Llama-family model, a KV cache with shared segments,
// generation. The same code for every backend; it never times itself.
#pragma once

#include <cstdint>
#include <memory>
#include <vector>

#include "base/dtype.hpp"
#include "comm/communicator.hpp"
#include "config/architecture.hpp"
#include "device/device.hpp"
#include "engine/batch.hpp"
#include "grid/run_spec.hpp"
#include "kernels/kernels.hpp"
#include "weights/weight_source.hpp"

namespace hydrajob {

// What an engine computes with; all outlive it. `group`: the ranks that share the model.
struct EngineContext {
  Device* device = nullptr;
  Kernels* kernels = nullptr;
  Communicator* group = nullptr;
};

struct GenerateOptions {
  Mode mode = Mode::hydragen;  // not vllm
  SamplingArgs sampling;
  std::int64_t prefill_chunk = 512;  // rows computed at once; > 0
  bool record_decode = true;         // on a GPU, keep the decode step as a graph; the same bits without
  // Leading nodes that the last batch, once prefilled, began with too, stay in the cache and are not computed
  // again. Nodes in depth-first order; not for noshared, whose cache has none.
  bool keep_shared = false;
  // Room in the cache for so many tokens at least: batches that follow one another keep what they share while
  // all of them fit.
  std::int64_t cache_tokens = 0;
};

// A rank's shard of a model, packed for its backend. Shared by all engines of a sweep that use it.
class Model;
std::size_t bytes_of(const Model& model);  // of all weights this rank holds
std::shared_ptr<const Model> load_model(WeightSource& source, DType dtype, std::int64_t expected_rows,
                                        const EngineContext& context);

class Engine {
 public:
  Engine(std::shared_ptr<const Model> model, const EngineContext& context);
  ~Engine();

  // Takes a batch: lays out the cache, allocates everything. Throws OutOfMemory (nothing is kept then) and
  // UsageError for a token outside the vocabulary or a position past max_positions.
  void prepare(const Batch& batch, const GenerateOptions& options);
  // What the ranks of the group do together before the first step: after prepare() has succeeded on all of
  // them. Collective.
  void connect();
  // Bytes held for the prepared batch on this rank, the weights not counted.
  std::size_t bytes_prepared() const;

  // Forgets all that was generated; the prepared batch starts again. The tree stays, once it is computed.
  void reset();
  // Computes the tree and the prompts, draws each sequence's first token.
  void prefill();
  // The same in two: the tree, once for all that follow, and the prompts; noshared: with them each sequence
  // copies what is above it. After reset() the prompts alone can be computed again where every sequence has
  // one; those without draw from the tree's last rows, which are used up then. Throws UsageError without a
  // tree.
  void prefill_tree();
  void prefill_prompts();
  // One step: from every sequence's last token to its next. At most new_tokens - 1 times after prefill().
  void decode();

  // Tokens of the prepared batch's nodes that stood in the cache already (keep_shared).
  std::int64_t tokens_kept() const;

  // Tokens drawn so far from step `first` on, (sequences, steps) in the order of Batch::sequences. Waits for
  // the device.
  std::vector<std::int32_t> tokens(std::int64_t first = 0) const;
  // Replaces the last token drawn (teacher forcing, for tests); (sequences).
  void override_last_tokens(const std::vector<std::int32_t>& tokens);
  // Logits that the last tokens were drawn from, (sequences, vocab) f32, gathered from all ranks. Collective.
  std::vector<float> logits() const;

 private:
  class Impl;
  std::unique_ptr<Impl> impl_;
};

}  // namespace hydrajob
