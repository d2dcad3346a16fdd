// The words of a sentencepiece model as ids. The library looks for the piece that two neighbours make by its
// text, and allocates for every word; here two ids are asked for, and the ids that come out are the
// library's.
#pragma once

#include <array>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "tokenizer/added_tokens.hpp"
#include "tokenizer/alphabet.hpp"
#include "tokenizer/bpe.hpp"
#include "tokenizer/sentencepiece_model.hpp"

namespace hydrajob::tokenizer {

class SentencepieceWords {
 public:
  // Nothing for a model of which the library does more than merge pieces; see the checks there.
  static std::optional<SentencepieceWords> of(const SentencepieceModel& model);

  // Of a word in UTF-8, with spaces as they are and without the one that stands before it.
  void append(std::string_view word, std::vector<TokenId>& ids);

 private:
  explicit SentencepieceWords(const SentencepieceModel& model);

  void append_merged(std::string_view text, std::vector<TokenId>& ids);

  AddedTokens symbols_;  // that the model's maker defined: found before anything merges, and never merged
  Alphabet alphabet_;
  std::array<TokenId, 256> byte_ids_{};  // of <0x00> to <0xFF>
  Bpe bpe_;
  std::string text_;  // kept for its memory
};

}  // namespace hydrajob::tokenizer
