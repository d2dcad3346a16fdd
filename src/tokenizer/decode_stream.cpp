#include "tokenizer/decode_stream.hpp"

#include <utility>

#include <fmt/format.h>

#include "base/error.hpp"
#include "base/utf8.hpp"

namespace hydrajob {

std::string DecodeStream::next(TokenId id) {
  if (id < 0 || static_cast<std::size_t>(id) >= table_.tokens.size()) {
    throw UsageError(fmt::format("token id {}: expected 0 to {}", id, table_.tokens.size() - 1));
  }
  const TokenText& token = table_.tokens[static_cast<std::size_t>(id)];
  switch (token.kind) {
    case TokenText::Kind::left_out:
      // To sentencepiece it ends a character; Hugging Face never sees it.
      return table_.damage == DecodeTable::Damage::byte ? finish() : std::string();
    case TokenText::Kind::bytes:
      waiting_ += token.text;
      return without_leading_space(certain_bytes(), false);
    case TokenText::Kind::text:
      break;
  }
  std::string text = without_leading_space(all_bytes(), false);
  return text + without_leading_space(token.text, true);
}

std::string DecodeStream::finish() {
  return without_leading_space(all_bytes(), false);
}

// Leaves in waiting_ what may become a character yet.
std::string DecodeStream::certain_bytes() {
  if (table_.damage == DecodeTable::Damage::run) return {};
  std::string text;
  std::string_view rest = waiting_;
  while (!rest.empty()) {
    const Utf8Step step = utf8_step(rest);
    if (step.state == Utf8Step::State::cut) break;
    const bool whole = step.state == Utf8Step::State::whole;
    text += whole ? rest.substr(0, step.length) : replacement_character;
    rest.remove_prefix(whole || table_.damage == DecodeTable::Damage::part ? step.length : 1);
  }
  waiting_.erase(0, waiting_.size() - rest.size());
  return text;
}

std::string DecodeStream::all_bytes() {
  if (table_.damage == DecodeTable::Damage::run && is_utf8(waiting_)) return std::exchange(waiting_, {});
  std::string text = certain_bytes();
  const std::size_t signs = table_.damage == DecodeTable::Damage::part ? !waiting_.empty() : waiting_.size();
  for (std::size_t i = 0; i < signs; ++i) text += replacement_character;
  waiting_.clear();
  return text;
}

std::string DecodeStream::without_leading_space(std::string text, bool whole_token) {
  if (spaces_left_ == 0 || text.empty()) return text;
  const bool of_characters = table_.strip_from == DecodeTable::Strip::characters;
  std::size_t spaces = 0;
  if (of_characters) {
    while (static_cast<int>(spaces) < spaces_left_ && text[spaces] == ' ') ++spaces;
  } else {
    spaces = whole_token && text.front() == ' ' ? 1 : 0;
  }
  text.erase(0, spaces);
  if (of_characters && text.empty()) {
    spaces_left_ -= static_cast<int>(spaces);
  } else if (!text.empty() || table_.strip_from == DecodeTable::Strip::first_token) {
    spaces_left_ = 0;
  }
  return text;
}

}  // namespace hydrajob
