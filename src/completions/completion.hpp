// One completion: what was generated behind a prompt, and why it ended there.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "tokenizer/decode_stream.hpp"

namespace hydrajob {

enum class FinishReason { eos, stop, length };

std::string to_string(FinishReason reason);
// Nothing where it is none.
std::optional<FinishReason> parse_finish_reason(std::string_view name);

struct Completion {
  std::int64_t number = 0;      // among all, in the order of the input: its random numbers are keyed by it
  std::vector<TokenId> tokens;  // without the eos; with all of the tokens that a stop text came with
  std::string text;             // what they add to the prompt's text, up to a stop text; UTF-8
  FinishReason reason = FinishReason::length;
};

// What ends a completion.
struct EndRules {
  std::vector<TokenId> eos;  // any of them
  std::vector<std::string> stop;
  std::int64_t max_new_tokens = 1;
};

// A completion as its tokens come.
class GrowingCompletion {
 public:
  // `text`: behind the prompt's tokens; nothing where the model has no tokenizer. `vocabulary`: ids that have
  // text. `rules` outlive this.
  GrowingCompletion(std::int64_t number, const EndRules& rules, std::optional<DecodeStream> text,
                    TokenId vocabulary);

  // The next token drawn; one that comes after the end is ignored.
  void take(TokenId id);
  bool is_finished() const { return is_finished_; }
  const Completion& completion() const { return completion_; }

 private:
  void add_text(const std::string& piece);
  void finish(FinishReason reason);

  const EndRules& rules_;
  std::optional<DecodeStream> stream_;
  TokenId vocabulary_;
  Completion completion_;
  bool is_finished_ = false;
};

}  // namespace hydrajob
