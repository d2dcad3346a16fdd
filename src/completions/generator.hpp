// Generates the completions of one wave after another with one model.
#pragma once

#include <cstdint>
#include <functional>
#include <memory>
#include <optional>
#include <vector>

#include "completions/completion.hpp"
#include "completions/waves.hpp"
#include "engine/engine.hpp"
#include "tokenizer/tokenizer.hpp"

namespace hydrajob {

// What becomes of a wave.
struct WaveResult {
  std::vector<Completion> completions;  // those that are finished
  std::int64_t tokens_kept = 0;         // of the tree, that stood in the cache already
  std::int64_t tokens_computed = 0;     // of tree and prompts
  bool is_interrupted = false;
};

class Generator {
 public:
  // `rules` of a completion, by its number, and its prompt; all outlive this. `tokenizer` null: none.
  struct Source {
    std::function<const EndRules&(std::int64_t number)> rules;
    std::function<const Request&(std::int64_t number)> request;
    const Tokenizer* tokenizer = nullptr;
  };
  // `check_time`: asked between steps, throws Interrupted on all ranks together.
  Generator(std::shared_ptr<const Model> model, const EngineContext& context, Source source,
            std::function<void()> check_time);

  // Throws OutOfMemory on all ranks when it is one rank's; AgreedError for other failures before the first
  // step. `watch` is told how many of the wave are finished, and the tokens that they all have. Collective.
  WaveResult run(const Wave& wave, const GenerateOptions& options,
                 const std::function<void(std::int64_t finished, std::int64_t tokens)>& watch);

 private:
  void prepare(const Wave& wave, const GenerateOptions& options);
  std::optional<DecodeStream> text_behind(const Request& request) const;
  std::vector<GrowingCompletion> begin(const Wave& wave) const;

  std::shared_ptr<const Model> model_;
  EngineContext context_;
  Source source_;
  std::function<void()> check_time_;
  std::unique_ptr<Engine> engine_;
};

}  // namespace hydrajob
