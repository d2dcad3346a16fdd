// A tokenizer: text to token ids and back, from the file that the makers of a model publish beside its
// weights.
#pragma once

#include <memory>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "tokenizer/decode_stream.hpp"

namespace hydrajob {

// What a tokenizer's file says of its tokens.
struct Vocabulary {
  std::vector<std::string> pieces;  // by id, as the file spells them; empty where an id is left free
  DecodeTable decode;
  std::vector<TokenId> before, after;  // ids around every text
  std::optional<TokenId> bos, eos;
};

// One thread at a time: words that were encoded are remembered.
class Tokenizer {
 public:
  enum class Around { special_tokens, nothing };

  virtual ~Tokenizer() = default;
  Tokenizer(const Tokenizer&) = delete;
  Tokenizer& operator=(const Tokenizer&) = delete;

  // With the ids that the model expects around a text, bos mostly. Bytes that are not UTF-8 count as U+FFFD.
  std::vector<TokenId> encode(std::string_view text, Around around = Around::special_tokens);

  // Special tokens are left out. Throws UsageError where there is no such token.
  std::string decode(std::span<const TokenId> ids) const;
  // The same, token by token.
  DecodeStream stream() const { return DecodeStream(vocabulary_.decode); }

  TokenId vocabulary_size() const { return static_cast<TokenId>(vocabulary_.pieces.size()); }
  std::optional<TokenId> bos() const { return vocabulary_.bos; }
  // What the tokenizer's own file knows of it; a model's configuration may name others.
  std::optional<TokenId> eos() const { return vocabulary_.eos; }
  const std::string& piece(TokenId id) const;

 protected:
  explicit Tokenizer(Vocabulary vocabulary) : vocabulary_(std::move(vocabulary)) {}

 private:
  virtual void append(std::string_view utf8, std::vector<TokenId>& ids) = 0;

  Vocabulary vocabulary_;
};

inline constexpr const char* sentencepiece_tokenizer = "sentencepiece";  // a tokenizer.model
inline constexpr const char* huggingface_tokenizer = "huggingface";      // a tokenizer.json

// Throws UsageError that begins with `origin` where the file is damaged, or needs what is not supported.
std::unique_ptr<Tokenizer> make_tokenizer(std::string_view kind, std::string_view bytes,
                                          const std::string& origin);

// By how the file begins. Throws UsageError that begins with `origin` where it is of neither kind.
const char* kind_of_tokenizer(std::string_view bytes, const std::string& origin);

}  // namespace hydrajob
