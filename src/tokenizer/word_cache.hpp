// The tokens of words that were encoded already: most words of a text are among a few thousand.
#pragma once

#include <cstdint>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "tokenizer/decode_stream.hpp"

namespace hydrajob::tokenizer {

// Open addressing, words and ids each in one block: a text of new words allocates nothing for any of them.
class WordCache {
 public:
  WordCache();

  // Nothing where the word is not there. Until the next insert.
  std::optional<std::span<const TokenId>> find(std::string_view word) const;

  // A word that is not there. Long words are rarely met again. A full cache begins anew, so that it follows
  // the text.
  void insert(std::string_view word, std::span<const TokenId> ids);

 private:
  static constexpr std::size_t longest_word = 64;  // bytes
  static constexpr std::size_t most_ids = 255;     // of a word
  static constexpr std::size_t most_words = 1 << 16;

  struct Slot {
    std::uint32_t hash = 0;           // 0: free
    std::uint32_t word = 0, ids = 0;  // where they begin
    std::uint16_t word_length = 0, n_ids = 0;
  };

  std::size_t place_of(std::string_view word, std::uint32_t hash) const;
  void begin_anew();
  void grow();

  std::vector<Slot> slots_;  // a power of two, at most half of them in use
  std::size_t n_words_ = 0;
  std::string words_;
  std::vector<TokenId> ids_;
};

}  // namespace hydrajob::tokenizer
