#include "engine/engine.hpp"

#include <algorithm>
#include <optional>
#include <string>
#include <utility>

#include "base/error.hpp"
#include "engine/forward.hpp"
#include "engine/layout.hpp"
#include "engine/sampler.hpp"
#include "engine/sharing.hpp"

namespace hydrajob {
namespace {

void check_tokens(const std::vector<std::int32_t>& tokens, std::int64_t vocab) {
  for (const std::int32_t id : tokens) {
    if (id < 0 || id >= vocab) {
      throw UsageError("token id " + std::to_string(id) + ": the vocabulary ends at " +
                       std::to_string(vocab - 1));
    }
  }
}

void check_batch(const Batch& batch, const Architecture& architecture) {
  if (batch.sequences.empty()) throw UsageError("a batch needs at least one sequence");
  for (const TreeNode& node : batch.nodes) check_tokens(node.tokens, architecture.vocab);
  for (const Sequence& sequence : batch.sequences) check_tokens(sequence.prompt, architecture.vocab);
}

}  // namespace

// A prepared batch: its layout, its memory, and how far it has got.
class Engine::Impl {
 public:
  Impl(std::shared_ptr<const Model> model, const EngineContext& context)
      : model_(std::move(model)), context_(context) {}

  void prepare(const Batch& batch, const GenerateOptions& options) {
    state_.reset();  // the last batch's memory, before the next one's is asked for
    check_batch(batch, model_->architecture);
    if (options.mode == Mode::vllm || options.mode == Mode::vllm_notok) {
      throw UsageError("mode " + to_string(options.mode) + ": no such engine yet");
    }
    State state;
    state.layout = make_layout(batch, {options.mode == Mode::noshared, options.prefill_chunk});
    state.new_tokens = batch.new_tokens;
    if (state.layout.positions > model_->architecture.max_positions) {
      throw UsageError(model_->architecture.name + ": " + std::to_string(state.layout.positions) +
                       " positions asked for, the model has " +
                       std::to_string(model_->architecture.max_positions));
    }
    const bool share = shares_segments(options.mode, state.layout.decode,
                                       attention_shape(*model_, state.layout.decode, true));
    const bool attends = options.mode != Mode::noattention;
    state.cache.emplace(*model_, state.layout.cache_tokens, attends, *context_.device);
    state.forward = std::make_unique<Forward>(*model_, context_, limits(state, share, attends), share);
    if (state.layout.n_logits_rows != state.layout.decode.n_rows()) {
      state.expanded = context_.device->allocate(logits_row_bytes() * state.layout.sequence.size());
    }
    state.sampler.emplace(context_, model_->vocabulary, state.layout.sequence, options.sampling);
    state_.emplace(std::move(state));
    reset();
  }

  std::size_t bytes_prepared() const {
    return state_->cache->bytes() + state_->forward->bytes() + state_->sampler->bytes() + expanded_bytes();
  }

  void reset() {
    state_->step = state_->layout.decode;
    state_->drawn.clear();
  }

  void prefill() {
    State& s = *state_;
    for (std::size_t i = 0; i < s.layout.prefill.size(); ++i) {
      if (i == s.layout.prompts_begin) copy_paths();
      s.forward->run(s.layout.prefill[i], *s.cache);
      s.forward->keep_wanted(s.layout.prefill[i]);
    }
    if (s.layout.prompts_begin == s.layout.prefill.size()) copy_paths();
    s.last_logits = expand(s.forward->logits_of_kept(s.layout.n_logits_rows));
    draw();
  }

  void decode() {
    State& s = *state_;
    if (s.drawn.empty() || static_cast<std::int64_t>(s.drawn.size()) >= s.new_tokens) {
      throw UsageError("decode step " + std::to_string(s.drawn.size()) + " of a batch prepared for " +
                       std::to_string(s.new_tokens) + " new tokens");
    }
    s.step.ids = s.drawn.back();
    s.forward->run(s.step, *s.cache);
    s.last_logits = s.forward->logits_of_pass(s.step.n_rows());
    draw();
    for (std::int64_t row = 0; row < s.step.n_rows(); ++row) {
      ++s.step.positions[row];
      ++s.step.slots[row];
      ++s.step.own_length[row];
    }
  }

  std::vector<std::int32_t> tokens() const {
    const State& s = *state_;
    const std::size_t steps = s.drawn.size();
    std::vector<std::int32_t> result(s.layout.sequence.size() * steps);
    for (std::size_t row = 0; row < s.layout.sequence.size(); ++row) {
      for (std::size_t step = 0; step < steps; ++step) {
        result[static_cast<std::size_t>(s.layout.sequence[row]) * steps + step] = s.drawn[step][row];
      }
    }
    return result;
  }

  void override_last_tokens(const std::vector<std::int32_t>& tokens) {
    State& s = *state_;
    check_tokens(tokens, model_->architecture.vocab);
    for (std::size_t row = 0; row < s.layout.sequence.size(); ++row) {
      s.drawn.back()[row] = tokens[static_cast<std::size_t>(s.layout.sequence[row])];
    }
  }

  std::vector<float> logits() const {
    const State& s = *state_;
    const std::size_t rows = s.layout.sequence.size();
    const auto local = static_cast<std::size_t>(model_->vocabulary.count());
    std::string mine(rows * local * sizeof(float), '\0');
    context_.device->copy_to_host(mine.data(), s.last_logits, mine.size());
    context_.device->synchronize();

    const auto vocab = static_cast<std::size_t>(model_->architecture.vocab);
    std::vector<float> result(rows * vocab);
    std::size_t first_id = 0;
    for (const std::string& part : context_.group->all_gather(mine)) {
      const std::size_t ids = part.size() / sizeof(float) / rows;
      const auto* values = reinterpret_cast<const float*>(part.data());
      for (std::size_t row = 0; row < rows; ++row) {
        const auto sequence = static_cast<std::size_t>(s.layout.sequence[row]);
        std::copy_n(values + row * ids, ids, result.data() + sequence * vocab + first_id);
      }
      first_id += ids;
    }
    return result;
  }

 private:
  struct State {
    BatchLayout layout;
    std::int64_t new_tokens = 0;
    std::optional<KvCache> cache;
    std::unique_ptr<Forward> forward;
    std::optional<Sampler> sampler;
    std::unique_ptr<Buffer> expanded;  // (sequences, local vocabulary) f32: first logits, one row each
    Pass step;                         // the next decode step
    std::vector<std::vector<std::int32_t>> drawn;  // by step, then row of decode
    float* last_logits = nullptr;                  // (sequences, local vocabulary) f32 on the device
  };

  ForwardLimits limits(const State& state, bool share, bool attends) const {
    const BatchLayout& layout = state.layout;
    ForwardLimits limits;
    limits.logits_rows = std::max(layout.n_logits_rows, layout.decode.n_rows());
    limits.positions = layout.positions;
    const auto include = [&](const Pass& pass) {
      limits.rows = std::max(limits.rows, pass.n_rows());
      limits.streams = std::max(limits.streams, pass.n_streams());
      limits.segments = std::max(limits.segments, pass.n_segments());
      if (!attends) return;
      limits.attention_workspace =
          std::max(limits.attention_workspace,
                   context_.kernels->attention_workspace(attention_shape(*model_, pass, share)));
    };
    for (const Pass& pass : layout.prefill) include(pass);
    Pass last = layout.decode;
    for (std::int32_t& length : last.own_length) length += static_cast<std::int32_t>(state.new_tokens);
    include(layout.decode);
    include(last);
    return limits;
  }

  void copy_paths() {
    for (const CacheCopy& copy : state_->layout.copies) state_->cache->copy(copy, *context_.device);
  }

  // One logits row a sequence: those that continue the same node share a row until here.
  float* expand(float* distinct) {
    State& s = *state_;
    if (!s.expanded) return distinct;
    const std::size_t row_bytes = logits_row_bytes();
    for (std::size_t row = 0; row < s.layout.sequence.size(); ++row) {
      context_.device->copy_on_device(s.expanded->as<std::byte>() + row * row_bytes,
                                      reinterpret_cast<std::byte*>(distinct) +
                                          static_cast<std::size_t>(s.layout.logits_row[row]) * row_bytes,
                                      row_bytes);
    }
    return s.expanded->as<float>();
  }

  std::size_t logits_row_bytes() const {
    return static_cast<std::size_t>(model_->vocabulary.count()) * sizeof(float);
  }

  std::size_t expanded_bytes() const { return state_->expanded ? state_->expanded->bytes() : 0; }

  void draw() {
    State& s = *state_;
    s.drawn.push_back(s.sampler->draw(s.last_logits, static_cast<std::int32_t>(s.drawn.size())));
  }

  std::shared_ptr<const Model> model_;
  EngineContext context_;
  std::optional<State> state_;
};

Engine::Engine(std::shared_ptr<const Model> model, const EngineContext& context)
    : impl_(std::make_unique<Impl>(std::move(model), context)) {}
Engine::~Engine() = default;

void Engine::prepare(const Batch& batch, const GenerateOptions& options) {
  impl_->prepare(batch, options);
}
std::size_t Engine::bytes_prepared() const {
  return impl_->bytes_prepared();
}
void Engine::reset() {
  impl_->reset();
}
void Engine::prefill() {
  impl_->prefill();
}
void Engine::decode() {
  impl_->decode();
}
std::vector<std::int32_t> Engine::tokens() const {
  return impl_->tokens();
}
void Engine::override_last_tokens(const std::vector<std::int32_t>& tokens) {
  impl_->override_last_tokens(tokens);
}
std::vector<float> Engine::logits() const {
  return impl_->logits();
}

}  // namespace hydrajob
