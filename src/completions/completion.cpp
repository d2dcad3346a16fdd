#include "completions/completion.hpp"

#include <algorithm>

namespace hydrajob {

std::string to_string(FinishReason reason) {
  switch (reason) {
    case FinishReason::eos:
      return "eos";
    case FinishReason::stop:
      return "stop";
    case FinishReason::length:
      break;
  }
  return "length";
}

std::optional<FinishReason> parse_finish_reason(std::string_view name) {
  for (const FinishReason reason : {FinishReason::eos, FinishReason::stop, FinishReason::length}) {
    if (to_string(reason) == name) return reason;
  }
  return std::nullopt;
}

GrowingCompletion::GrowingCompletion(std::int64_t number, const EndRules& rules,
                                     std::optional<DecodeStream> text, TokenId vocabulary)
    : rules_(rules), stream_(std::move(text)), vocabulary_(vocabulary) {
  completion_.number = number;
}

void GrowingCompletion::take(TokenId id) {
  if (is_finished_) return;
  if (std::find(rules_.eos.begin(), rules_.eos.end(), id) != rules_.eos.end())
    return finish(FinishReason::eos);
  completion_.tokens.push_back(id);
  // A model's vocabulary may be padded beyond its tokenizer's.
  if (stream_ && id < vocabulary_) add_text(stream_->next(id));
  const auto n = static_cast<std::int64_t>(completion_.tokens.size());
  if (!is_finished_ && n >= rules_.max_new_tokens) finish(FinishReason::length);
}

// A stop text may have begun in the pieces before.
void GrowingCompletion::add_text(const std::string& piece) {
  std::string& text = completion_.text;
  const std::size_t before = text.size();
  text += piece;
  std::size_t end = std::string::npos;
  for (const std::string& stop : rules_.stop) {
    const std::size_t from = before >= stop.size() ? before - stop.size() + 1 : 0;
    end = std::min(end, text.find(stop, from));
  }
  if (end == std::string::npos) return;
  text.resize(end);
  completion_.reason = FinishReason::stop;
  is_finished_ = true;
}

void GrowingCompletion::finish(FinishReason reason) {
  if (stream_) add_text(stream_->finish());
  if (is_finished_) return;  // what was still waiting had a stop text
  completion_.reason = reason;
  is_finished_ = true;
}

}  // namespace hydrajob
