#include "tokenizer/tokenizer.hpp"

#include <utility>

#include <fmt/format.h>

#include "base/error.hpp"
#include "base/utf8.hpp"
#include "tokenizer/huggingface.hpp"
#include "tokenizer/sentencepiece.hpp"

namespace hydrajob {

std::vector<TokenId> Tokenizer::encode(std::string_view text, Around around) {
  const bool with_special = around == Around::special_tokens;
  std::vector<TokenId> ids;
  if (with_special) ids = vocabulary_.before;
  if (is_utf8(text)) {
    append(text, ids);
  } else {
    append(replace_damage(text), ids);
  }
  if (with_special) ids.insert(ids.end(), vocabulary_.after.begin(), vocabulary_.after.end());
  return ids;
}

std::string Tokenizer::decode(std::span<const TokenId> ids) const {
  DecodeStream tokens = stream();
  std::string text;
  for (const TokenId id : ids) text += tokens.next(id);
  return text + tokens.finish();
}

const std::string& Tokenizer::piece(TokenId id) const {
  if (id < 0 || id >= vocabulary_size()) {
    throw UsageError(fmt::format("token id {}: expected 0 to {}", id, vocabulary_size() - 1));
  }
  return vocabulary_.pieces[static_cast<std::size_t>(id)];
}

std::unique_ptr<Tokenizer> make_tokenizer(std::string_view kind, std::string_view bytes,
                                          const std::string& origin) {
  if (kind == sentencepiece_tokenizer) return tokenizer::make_sentencepiece(bytes, origin);
  if (kind == huggingface_tokenizer) return tokenizer::make_huggingface(bytes, origin);
  throw UsageError(fmt::format("{}: tokenizer of kind '{}', expected '{}' or '{}'", origin, kind,
                               sentencepiece_tokenizer, huggingface_tokenizer));
}

const char* kind_of_tokenizer(std::string_view bytes, const std::string& origin) {
  const std::size_t first = bytes.find_first_not_of(" \t\r\n");
  if (first != std::string_view::npos && bytes[first] == '{') return huggingface_tokenizer;
  // The tag of a sentencepiece model's first field, its first piece.
  if (bytes.starts_with('\n')) return sentencepiece_tokenizer;
  throw UsageError(origin + ": neither a tokenizer.json nor a sentencepiece tokenizer.model");
}

}  // namespace hydrajob
