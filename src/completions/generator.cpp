#include "completions/generator.hpp"

#include <algorithm>
#include <new>
#include <string>
#include <utility>

#include "base/error.hpp"
#include "sched/agree.hpp"
#include "sched/stop.hpp"

namespace hydrajob {
namespace {

// Steps between two looks at the tokens: a GPU goes on with the next steps only once the host has seen them,
// and rows that have ended are computed until it has.
constexpr std::int64_t steps_between_looks = 16;

// Hands the tokens drawn since the last look to their completions.
class Reader {
 public:
  Reader(const Engine& engine, std::vector<GrowingCompletion>& growing)
      : engine_(engine), growing_(growing) {}

  void look() {
    const std::vector<std::int32_t> tokens = engine_.tokens(seen_);
    const std::size_t steps = tokens.size() / growing_.size();
    for (std::size_t i = 0; i < growing_.size(); ++i) {
      for (std::size_t step = 0; step < steps; ++step) growing_[i].take(tokens[i * steps + step]);
    }
    seen_ += static_cast<std::int64_t>(steps);
  }

  std::int64_t finished() const {
    return std::count_if(growing_.begin(), growing_.end(), [](const auto& g) { return g.is_finished(); });
  }
  std::int64_t tokens() const {
    std::int64_t n = 0;
    for (const GrowingCompletion& g : growing_) n += static_cast<std::int64_t>(g.completion().tokens.size());
    return n;
  }

 private:
  const Engine& engine_;
  std::vector<GrowingCompletion>& growing_;
  std::int64_t seen_ = 0;  // steps
};

}  // namespace

Generator::Generator(std::shared_ptr<const Model> model, const EngineContext& context, Source source,
                     std::function<void()> check_time)
    : model_(std::move(model)),
      context_(context),
      source_(std::move(source)),
      check_time_(std::move(check_time)) {}

WaveResult Generator::run(const Wave& wave, const GenerateOptions& options,
                          const std::function<void(std::int64_t, std::int64_t)>& watch) {
  prepare(wave, options);
  WaveResult result;
  result.tokens_kept = engine_->tokens_kept();
  result.tokens_computed = tokens_of(wave.batch.nodes, wave.batch.sequences) - result.tokens_kept;
  std::vector<GrowingCompletion> growing = begin(wave);
  Reader reader(*engine_, growing);
  const auto n = static_cast<std::int64_t>(growing.size());
  try {
    check_time_();
    engine_->prefill();
    for (std::int64_t step = 1; step < wave.batch.new_tokens; ++step) {
      check_time_();
      engine_->decode();
      if (step % steps_between_looks != 0) continue;
      reader.look();
      watch(reader.finished(), reader.tokens());
      if (reader.finished() == n) break;
    }
  } catch (const Interrupted&) {
    result.is_interrupted = true;
  }
  reader.look();
  for (const GrowingCompletion& g : growing) {
    if (g.is_finished()) result.completions.push_back(g.completion());
  }
  return result;
}

// Where one rank has no memory, none of them keeps anything of the last batch: their caches stay alike.
void Generator::prepare(const Wave& wave, const GenerateOptions& options) {
  std::string lack;
  agreed(*context_.group, [&] {
    try {
      if (!engine_) engine_ = std::make_unique<Engine>(model_, context_);
      engine_->prepare(wave.batch, options);
    } catch (const OutOfMemory& e) {
      lack = e.what();
    } catch (const std::bad_alloc&) {
      lack = "the host's memory cannot be had (std::bad_alloc)";
    }
  });
  const std::string first = agree_on_error(*context_.group, lack);
  if (!first.empty()) {
    engine_.reset();
    throw OutOfMemory(first);
  }
  agreed(*context_.group, [&] { engine_->connect(); });
}

// The text behind a prompt: its own is not said again, but what its last tokens leave open is.
std::optional<DecodeStream> Generator::text_behind(const Request& request) const {
  if (!source_.tokenizer) return std::nullopt;
  DecodeStream text = source_.tokenizer->stream();
  for (const TokenId id : request.tokens) {
    if (id < source_.tokenizer->vocabulary_size()) text.next(id);
  }
  return text;
}

std::vector<GrowingCompletion> Generator::begin(const Wave& wave) const {
  std::vector<GrowingCompletion> growing;
  growing.reserve(wave.completions.size());
  const TokenId vocabulary = source_.tokenizer ? source_.tokenizer->vocabulary_size() : 0;
  for (std::size_t i = 0; i < wave.completions.size();) {
    const Request& request = source_.request(wave.completions[i]);
    const std::optional<DecodeStream> text = text_behind(request);
    for (; i < wave.completions.size() && &source_.request(wave.completions[i]) == &request; ++i)
      growing.emplace_back(wave.completions[i], source_.rules(wave.completions[i]), text, vocabulary);
  }
  return growing;
}

}  // namespace hydrajob
