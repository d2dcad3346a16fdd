#include "grid/needle_texts.hpp"

#include <algorithm>
#include <utility>
#include <vector>

#include <fmt/format.h>

#include "base/digest.hpp"
#include "base/error.hpp"
#include "base/file.hpp"
#include "needles/haystack.hpp"

namespace hydrajob {
namespace {

using PlaceOf = std::function<const Place&(std::string_view parameter)>;

// What `make` returns; what it throws is told at the place of the parameter.
template <class Make>
auto of_parameter(std::string_view parameter, const Place& place, const Make& make) {
  try {
    return make();
  } catch (const UsageError& error) {
    fail_at(place, fmt::format("{}: {}", parameter, error.what()));
  }
}

Haystack haystack_of(const RunSpec& spec, const PlaceOf& place_of) {
  const auto facts = of_parameter("facts", place_of("facts"), [&] {
    auto read = parse_facts(read_file(spec.facts), spec.facts);
    if (read.size() < 2)
      throw UsageError(fmt::format("{}: {} facts: expected 2 or more", spec.facts, read.size()));
    return read;
  });
  if (spec.few_shot >= static_cast<std::int64_t>(facts.size())) {
    fail_at(place_of("few_shot"), fmt::format("few_shot: {} of the {} facts in {}: no question is left",
                                              spec.few_shot, facts.size(), spec.facts));
  }
  return of_parameter("text", place_of("text"), [&] {
    return make_haystack(facts, read_file(spec.text), spec.few_shot, spec.text_length, spec.text);
  });
}

std::int64_t length_of(const std::vector<TokenId>& tokens) {
  return static_cast<std::int64_t>(tokens.size());
}

std::string digest_of(const NeedleTask& task, const Haystack& haystack) {
  std::string text = fmt::format("{}\n", fmt::join(task.document, " "));
  for (std::size_t i = 0; i < task.questions.size(); ++i) {
    const NeedleQuestion& question = task.questions[i];
    text += fmt::format("{}: {} = {}\n", question.needle, fmt::join(question.tokens, " "),
                        haystack.questions[i].answer);
  }
  return digest128(text);
}

// A tokenizer that is not of these weights would ask for rows of the embedding that there are not.
void check_ids(const NeedleTask& task, const RunSpec& spec, const Place& place) {
  TokenId largest = 0;
  const auto include = [&](const std::vector<TokenId>& tokens) {
    for (const TokenId id : tokens) largest = std::max(largest, id);
  };
  include(task.document);
  for (const NeedleQuestion& question : task.questions) include(question.tokens);
  if (largest < spec.architecture.vocab) return;
  fail_at(place,
          fmt::format("weights: the tokenizer of {} makes token id {} of the text, the vocabulary of {} "
                      "ends at {}",
                      spec.weights, largest, spec.architecture.name, spec.architecture.vocab - 1));
}

}  // namespace

NeedleTexts::NeedleTexts(ReadTokenizer read_tokenizer) : read_tokenizer_(std::move(read_tokenizer)) {}

void NeedleTexts::fill(RunSpec& spec, const PlaceOf& place_of) {
  const auto key = std::tuple(spec.weights, spec.text, spec.facts, spec.few_shot, spec.text_length);
  auto known = known_.find(key);
  if (known == known_.end()) known = known_.emplace(key, make(spec, place_of)).first;
  const Tokenized& tokenized = known->second;
  spec.needles = tokenized.task;
  spec.needles_digest = tokenized.digest;
  spec.n_needles = tokenized.task->n_needles;
  spec.prefix = length_of(tokenized.task->document);
  spec.suffix = tokenized.longest_question;
}

NeedleTexts::Tokenized NeedleTexts::make(const RunSpec& spec, const PlaceOf& place_of) {
  const auto tokenizer = tokenizer_of(spec, place_of);
  const Haystack haystack = haystack_of(spec, place_of);
  auto task = std::make_shared<NeedleTask>(tokenized(haystack, tokenizer));
  check_ids(*task, spec, place_of("weights"));
  Tokenized result;
  result.digest = digest_of(*task, haystack);
  for (const NeedleQuestion& question : task->questions) {
    result.longest_question = std::max(result.longest_question, length_of(question.tokens));
  }
  result.task = std::move(task);
  return result;
}

std::shared_ptr<Tokenizer> NeedleTexts::tokenizer_of(const RunSpec& spec, const PlaceOf& place_of) {
  const Place& place = place_of("weights");
  const auto known = tokenizers_.find(spec.weights);
  if (known != tokenizers_.end()) return known->second;
  std::shared_ptr<Tokenizer> tokenizer;
  if (spec.weights != "random") {
    tokenizer = of_parameter("weights", place, [&] { return read_tokenizer_(spec.weights); });
  }
  if (!tokenizer) {
    fail_at(place, fmt::format("weights: {} has no tokenizer, which `text` needs: expected a model file with "
                               "one, as import makes it",
                               spec.weights));
  }
  return tokenizers_.emplace(spec.weights, std::move(tokenizer)).first->second;
}

}  // namespace hydrajob
