// The tokens of words that were encoded already: most words of a text are among a few thousand.
#pragma once

#include <functional>
#include <string>
#include <string_view>
#include <unordered_map>
#include <vector>

#include "tokenizer/decode_stream.hpp"

namespace hydrajob::tokenizer {

class WordCache {
 public:
  // Nothing where the word is not there.
  const std::vector<TokenId>* find(std::string_view word) const {
    const auto found = ids_.find(word);
    return found == ids_.end() ? nullptr : &found->second;
  }

  // Long words are rarely met again. A full cache begins anew, so that it follows the text.
  void insert(std::string_view word, std::vector<TokenId> ids) {
    if (word.size() > longest_word) return;
    if (ids_.size() >= most_words) ids_.clear();
    ids_.emplace(word, std::move(ids));
  }

 private:
  static constexpr std::size_t longest_word = 64;  // bytes
  static constexpr std::size_t most_words = 1 << 16;

  struct Hash {
    using is_transparent = void;
    std::size_t operator()(std::string_view word) const { return std::hash<std::string_view>{}(word); }
  };
  std::unordered_map<std::string, std::vector<TokenId>, Hash, std::equal_to<>> ids_;
};

}  // namespace hydrajob::tokenizer
