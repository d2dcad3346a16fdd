// A word's tokens: its bytes or characters, merged.
#pragma once

#include <array>
#include <functional>
#include <string>
#include <string_view>
#include <unordered_map>
#include <vector>

#include "tokenizer/alphabet.hpp"
#include "tokenizer/bpe.hpp"
#include "tokenizer/tokenizer_json.hpp"
#include "tokenizer/word_cache.hpp"

namespace hydrajob::tokenizer {

class WordEncoder {
 public:
  // Throws UsageError that begins with `origin` where the model does not know all bytes, or all characters,
  // or its merges name a token that it does not have.
  WordEncoder(const BpeModel& model, bool byte_level, const std::string& origin);

  void append(std::string_view word, std::vector<TokenId>& ids);

 private:
  void use_bytes(const BpeModel& model, const std::string& origin);
  void use_characters(const BpeModel& model, const std::string& origin);
  void encode(std::string_view word, std::vector<TokenId>& ids);
  void append_bytes(std::string_view word, std::vector<TokenId>& ids) const;
  void append_characters(std::string_view word, std::vector<TokenId>& ids) const;

  struct Hash {
    using is_transparent = void;
    std::size_t operator()(std::string_view text) const { return std::hash<std::string_view>{}(text); }
  };

  bool byte_level_;
  bool fuse_unknown_, ignore_merges_, byte_fallback_;
  std::optional<TokenId> unknown_;
  std::array<TokenId, 256> byte_ids_{};  // of bytes; where they are characters, of <0x00> to <0xFF>
  Alphabet alphabet_;                    // unless tokens spell bytes
  // Tokens that spell bytes, and where words can be tokens whatever the merges say, by their text.
  std::unordered_map<std::string, TokenId, Hash, std::equal_to<>> tokens_;
  Bpe bpe_;
  WordCache cache_;
};

}  // namespace hydrajob::tokenizer
