#include "engine/engine.hpp"

#include <algorithm>
#include <optional>
#include <set>
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

// Whether its cache holds the keys and values of nodes, once each.
bool caches_tree(Mode mode) {
  return mode != Mode::noshared && mode != Mode::noattention;
}

// By row of decode, as Sampler takes them.
std::vector<std::int32_t> random_streams(const Batch& batch, const BatchLayout& layout) {
  std::vector<std::int32_t> streams;
  for (const std::int32_t s : layout.sequence) {
    const std::int32_t given = batch.sequences[static_cast<std::size_t>(s)].random_stream;
    streams.push_back(given >= 0 ? given : s);
  }
  return streams;
}

}  // namespace

// A prepared batch: its layout, its memory, and how far it has got.
class Engine::Impl {
 public:
  Impl(std::shared_ptr<const Model> model, const EngineContext& context)
      : model_(std::move(model)), context_(context) {}

  void prepare(const Batch& batch, const GenerateOptions& options) {
    std::optional<Kept> kept = what_stays(batch, options);
    state_.reset();  // the last batch's memory, before the next one's is asked for
    check_batch(batch, model_->architecture);
    if (options.mode == Mode::vllm || options.mode == Mode::vllm_notok) {
      throw UsageError("mode " + to_string(options.mode) + ": no such engine yet");
    }
    State state;
    const bool copy_path = options.mode == Mode::noshared;
    state.layout = make_layout(batch, {copy_path, options.prefill_chunk, kept ? kept->nodes : 0});
    if (kept && kept->cache.tokens() < state.layout.cache_tokens) {
      kept.reset();
      state.layout = make_layout(batch, {copy_path, options.prefill_chunk});
    }
    state.new_tokens = batch.new_tokens;
    if (state.layout.positions > model_->architecture.max_positions) {
      throw UsageError(model_->architecture.name + ": " + std::to_string(state.layout.positions) +
                       " positions asked for, the model has " +
                       std::to_string(model_->architecture.max_positions));
    }
    state.share = shares_segments(options.mode, state.layout.decode,
                                  attention_shape(*model_, state.layout.decode, true));
    state.attends = options.mode != Mode::noattention;
    plan(state);
    allocate(state, batch, options, kept);
    state.record_decode = options.record_decode;
    tune(state);
    if (options.keep_shared && caches_tree(options.mode)) state.batch_nodes.nodes = batch.nodes;
    state_.emplace(std::move(state));
    reset();
  }

  void connect() {
    State& s = *state_;
    if (s.new_tokens < 2) return;
    s.bytes += s.forward->connect(s.layout.decode.n_rows());
    if (s.record_decode) record();
  }

  std::size_t bytes_prepared() const { return state_->bytes; }
  std::int64_t tokens_kept() const { return state_->tokens_kept; }

  void reset() {
    State& s = *state_;
    s.steps = 0;
    s.rows->upload(s.layout.decode, *context_.device);
    const std::vector<std::int32_t> first(s.layout.sequence.size(), 0);
    context_.device->copy_to_device(s.step->data(), first.data(), first.size() * sizeof(std::int32_t));
  }

  void prefill_tree() {
    State& s = *state_;
    run_prefill(0, s.layout.prompts_begin);
    s.has_tree = s.tree_in_cache = true;
  }

  void prefill_prompts() {
    State& s = *state_;
    if (!s.has_tree) throw UsageError("prompts of a batch whose tree has not been computed");
    copy_paths();
    run_prefill(s.layout.prompts_begin, s.layout.prefill.size());
    s.last_logits = expand(s.forward->logits_of_kept(s.layout.n_logits_rows));
    draw(nullptr, nullptr, nullptr);
    s.steps = 1;
    s.has_tree = !draws_from_tree(s.layout);
  }

  void decode() {
    State& s = *state_;
    if (s.steps == 0 || s.steps >= s.new_tokens) {
      throw UsageError("decode step " + std::to_string(s.steps) + " of a batch prepared for " +
                       std::to_string(s.new_tokens) + " new tokens");
    }
    if (s.recorded) {
      s.recorded->launch();
    } else {
      step();
    }
    s.last_logits = s.forward->logits();
    ++s.steps;
  }

  std::vector<std::int32_t> tokens(std::int64_t first) const {
    const State& s = *state_;
    const auto steps = static_cast<std::size_t>(std::max<std::int64_t>(s.steps - first, 0));
    const std::size_t rows = s.layout.sequence.size();
    std::vector<std::int32_t> drawn(rows * steps), result(rows * steps);
    context_.device->copy_to_host(drawn.data(),
                                  s.history->as<std::int32_t>() + first * static_cast<std::int64_t>(rows),
                                  drawn.size() * sizeof(std::int32_t));
    context_.device->synchronize();
    for (std::size_t row = 0; row < rows; ++row) {
      for (std::size_t step = 0; step < steps; ++step) {
        result[static_cast<std::size_t>(s.layout.sequence[row]) * steps + step] = drawn[step * rows + row];
      }
    }
    return result;
  }

  void override_last_tokens(const std::vector<std::int32_t>& tokens) {
    State& s = *state_;
    check_tokens(tokens, model_->architecture.vocab);
    const std::size_t rows = s.layout.sequence.size();
    std::vector<std::int32_t> ids(rows);
    for (std::size_t row = 0; row < rows; ++row) {
      ids[row] = tokens[static_cast<std::size_t>(s.layout.sequence[row])];
    }
    const std::size_t bytes = rows * sizeof(std::int32_t);
    context_.device->copy_to_device(s.rows->ids(), ids.data(), bytes);
    context_.device->copy_to_device(
        s.history->as<std::int32_t>() + (s.steps - 1) * static_cast<std::int64_t>(rows), ids.data(), bytes);
    context_.device->synchronize();  // `ids` goes
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
    bool share = true;
    bool attends = true;
    bool record_decode = true;
    bool tree_in_cache = false;  // computed: the next batch may keep it
    bool has_tree = false;       // and prompts can be computed below it: its last rows are not used up
    std::int64_t steps = 0;      // drawn so far
    Batch batch_nodes;           // the nodes alone, where the next batch may keep some of them
    std::int64_t tokens_kept = 0;
    std::size_t bytes = 0;  // of all below
    std::optional<KvCache> cache;
    std::vector<std::unique_ptr<AttentionPlan>> prefill_plans;  // by pass; null without attention
    std::unique_ptr<AttentionPlan> decode_plan;                 // of every step; null without attention
    std::unique_ptr<PassBuffers> prefill_rows;                  // of the pass being computed
    std::unique_ptr<PassBuffers> rows;                          // of the next decode step
    std::unique_ptr<Buffer> step;                               // (sequences) the steps drawn so far
    std::unique_ptr<Buffer> history;                            // (new_tokens, sequences) ids drawn
    std::unique_ptr<Forward> forward;
    std::optional<Sampler> sampler;
    std::unique_ptr<Buffer> expanded;  // (sequences, local vocabulary) f32: first logits, one row each
    std::unique_ptr<Buffer>
        logits_rows;               // (sequences) i32: distinct logits row of each; null where `expanded` is
    float* last_logits = nullptr;  // (sequences, local vocabulary) f32 on the device
    std::unique_ptr<Replay> recorded;  // the decode step; null: not recorded. Goes before what it refers to.
  };

  // What of the last batch's cache the next one begins with.
  struct Kept {
    KvCache cache;
    std::size_t nodes = 0;
  };

  // Takes the cache out of the last batch, where the next one keeps part of it.
  std::optional<Kept> what_stays(const Batch& batch, const GenerateOptions& options) {
    if (!options.keep_shared || !caches_tree(options.mode)) return std::nullopt;
    if (!state_ || !state_->tree_in_cache) return std::nullopt;
    const std::size_t nodes = same_leading_nodes(state_->batch_nodes, batch);
    if (nodes == 0) return std::nullopt;
    return Kept{std::move(*state_->cache), nodes};
  }

  void plan(State& state) const {
    for (const Pass& pass : state.layout.prefill) state.prefill_plans.push_back(plan_of(state, pass, 0));
    state.decode_plan = plan_of(state, state.layout.decode, static_cast<std::int32_t>(state.new_tokens));
  }

  std::unique_ptr<AttentionPlan> plan_of(const State& state, const Pass& pass, std::int32_t growth) const {
    if (!state.attends) return nullptr;
    return context_.kernels->plan_attention(attention_shape(*model_, pass, state.share), growth);
  }

  void allocate(State& state, const Batch& batch, const GenerateOptions& options,
                std::optional<Kept>& kept) const {
    Device& device = *context_.device;
    const BatchLayout& layout = state.layout;
    const std::int64_t rows = layout.decode.n_rows();
    ForwardLimits limits;
    limits.logits_rows = std::max(layout.n_logits_rows, rows);
    limits.positions = layout.positions;
    PassLimits prefill, decode;
    for (const Pass& pass : layout.prefill) prefill.include(pass);
    decode.include(layout.decode);
    limits.rows = std::max(prefill.rows, decode.rows);
    const auto include = [&](const std::unique_ptr<AttentionPlan>& plan) {
      if (!plan) return;
      limits.attention_workspace = std::max(limits.attention_workspace, plan->workspace_bytes());
      state.bytes += plan->bytes();
    };
    for (const auto& plan : state.prefill_plans) include(plan);
    include(state.decode_plan);

    if (kept) {
      state.cache = std::move(kept->cache);
      for (std::size_t i = 0; i < kept->nodes; ++i)
        state.tokens_kept += static_cast<std::int64_t>(batch.nodes[i].tokens.size());
    } else {
      state.cache.emplace(*model_, std::max(layout.cache_tokens, options.cache_tokens), state.attends,
                          device);
    }
    state.prefill_rows = std::make_unique<PassBuffers>(prefill, device);
    state.rows = std::make_unique<PassBuffers>(decode, device);
    state.step = device.allocate(static_cast<std::size_t>(rows) * sizeof(std::int32_t));
    state.history = device.allocate(static_cast<std::size_t>(rows * state.new_tokens) * sizeof(std::int32_t));
    state.forward = std::make_unique<Forward>(*model_, context_, limits);
    if (layout.n_logits_rows != rows) {
      state.expanded =
          device.allocate(static_cast<std::size_t>(rows * model_->vocabulary.count()) * sizeof(float));
      state.logits_rows = device.allocate(layout.logits_row.size() * sizeof(std::int32_t));
      device.copy_to_device(state.logits_rows->data(), layout.logits_row.data(), state.logits_rows->bytes());
      state.bytes += state.expanded->bytes() + state.logits_rows->bytes();
    }
    state.sampler.emplace(context_, model_->vocabulary, random_streams(batch, layout), options.sampling);
    state.bytes += state.cache->bytes() + state.prefill_rows->bytes() + state.rows->bytes() +
                   state.step->bytes() + state.history->bytes() + state.forward->bytes() +
                   state.sampler->bytes();
  }

  void tune(const State& state) const {
    std::set<std::int64_t> rows{state.layout.decode.n_rows()};
    for (const Pass& pass : state.layout.prefill) rows.insert(pass.n_rows());
    for (const std::int64_t n : rows) state.forward->tune(n);
    state.forward->tune_logits(state.layout.decode.n_rows());
  }

  static bool draws_from_tree(const BatchLayout& layout) {
    return std::any_of(layout.prefill.begin(),
                       layout.prefill.begin() + static_cast<std::ptrdiff_t>(layout.prompts_begin),
                       [](const Pass& pass) { return !pass.wanted.empty(); });
  }

  // Passes [begin, end) of the prefill.
  void run_prefill(std::size_t begin, std::size_t end) {
    State& s = *state_;
    for (std::size_t i = begin; i < end; ++i) {
      const Pass& pass = s.layout.prefill[i];
      s.prefill_rows->upload(pass, *context_.device);
      s.forward->run(device_pass(*s.prefill_rows, pass, s.prefill_plans[i].get()), *s.cache);
      s.forward->keep_wanted(pass);
    }
  }

  // The step runs once while it is recorded: what it changed is set back.
  void record() {
    state_->recorded = context_.device->record([this] { step(); });
    reset();
  }

  DevicePass device_pass(const PassBuffers& rows, const Pass& pass, const AttentionPlan* plan) const {
    DevicePass result{&rows, attention_shape(*model_, pass, state_->share), plan};
    result.step = &pass == &state_->layout.decode;
    return result;
  }

  // From every sequence's last token to its next: device work only, the same at every step.
  void step() {
    State& s = *state_;
    const PassBuffers& rows = *s.rows;
    s.forward->run(device_pass(rows, s.layout.decode, s.decode_plan.get()), *s.cache);
    s.last_logits = s.forward->logits_of_step(s.layout.decode.n_rows());
    draw(rows.positions(), rows.slots(), rows.own_length());
  }

  // The next tokens of all rows, kept; with positions, slots and lengths, rows move on to the next step.
  void draw(std::int32_t* positions, std::int64_t* slots, std::int32_t* own_length) {
    State& s = *state_;
    auto* step = s.step->as<std::int32_t>();
    s.sampler->draw(s.last_logits, step, s.rows->ids());
    context_.kernels->end_step(s.rows->ids(), s.history->as<std::int32_t>(), step, positions, slots,
                               own_length, s.layout.decode.n_rows(), context_.device->stream());
  }

  void copy_paths() {
    for (const CacheCopy& copy : state_->layout.copies) state_->cache->copy(copy, *context_.device);
  }

  // One logits row a sequence: those that continue the same node share a row until here. Rows are looked up
  // as an embedding's are.
  float* expand(float* distinct) {
    State& s = *state_;
    if (!s.expanded) return distinct;
    context_.kernels->embed(s.logits_rows->as<std::int32_t>(), distinct, 0, s.layout.n_logits_rows,
                            s.expanded->as<float>(), static_cast<std::int64_t>(s.layout.sequence.size()),
                            model_->vocabulary.count(), DType::f32, context_.device->stream());
    return s.expanded->as<float>();
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

void Engine::connect() {
  impl_->connect();
}
std::size_t Engine::bytes_prepared() const {
  return impl_->bytes_prepared();
}
void Engine::reset() {
  impl_->reset();
}
void Engine::prefill() {
  prefill_tree();
  prefill_prompts();
}
void Engine::prefill_tree() {
  impl_->prefill_tree();
}
void Engine::prefill_prompts() {
  impl_->prefill_prompts();
}
void Engine::decode() {
  impl_->decode();
}
std::int64_t Engine::tokens_kept() const {
  return impl_->tokens_kept();
}
std::vector<std::int32_t> Engine::tokens(std::int64_t first) const {
  return impl_->tokens(first);
}
void Engine::override_last_tokens(const std::vector<std::int32_t>& tokens) {
  impl_->override_last_tokens(tokens);
}
std::vector<float> Engine::logits() const {
  return impl_->logits();
}

}  // namespace hydrajob
