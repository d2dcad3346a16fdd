#include "tokenizer/huggingface_vocabulary.hpp"

#include <algorithm>
#include <initializer_list>

#include <fmt/format.h>

#include "base/error.hpp"
#include "tokenizer/byte_alphabet.hpp"
#include "tokenizer/text_steps.hpp"

namespace hydrajob::tokenizer {
namespace {

// "<0x0A>"; nothing where the token is another.
std::optional<char> named_byte(std::string_view token) {
  if (token.size() != 6 || !token.starts_with("<0x") || token.back() != '>') return {};
  const std::string digits(token.substr(3, 2));
  if (digits.find_first_not_of("0123456789abcdefABCDEF") != std::string::npos) return {};
  return static_cast<char>(std::stoi(digits, nullptr, 16));
}

TokenText text_of(const std::string& token, const Decoder& decoder) {
  if (decoder.byte_level) return {TokenText::Kind::bytes, spelled_bytes(token).value_or(token)};
  std::string text = token;
  for (const auto& [from, to] : decoder.replacements) replace_all(text, from, to);
  if (decoder.byte_fallback) {
    if (const auto byte = named_byte(text)) return {TokenText::Kind::bytes, std::string(1, *byte)};
  }
  return {TokenText::Kind::text, text};
}

// One that was looked for in the normalized text is what it was there.
TokenText text_of(const AddedToken& added, const TokenizerJson& file) {
  if (added.special) return {};
  if (!added.normalized) return text_of(added.content, file.decoder);
  return text_of(apply_steps(file.normalizer, added.content, false), file.decoder);
}

// The file does not say which token ends a text; these are the names that Llama's and its relatives' have.
std::optional<TokenId> one_of(const TokenizerJson& file, std::initializer_list<const char*> names) {
  for (const char* name : names) {
    const auto added = std::find_if(file.added.begin(), file.added.end(), [&](const AddedToken& token) {
      return token.special && token.content == name;
    });
    if (added != file.added.end()) return added->id;
  }
  return {};
}

void check_around(const Vocabulary& vocabulary, const std::string& origin) {
  for (const auto* ids : {&vocabulary.before, &vocabulary.after}) {
    for (const TokenId id : *ids) {
      if (static_cast<std::size_t>(id) < vocabulary.pieces.size()) continue;
      throw UsageError(fmt::format("{}: post_processor: token id {}, expected 0 to {}", origin, id,
                                   vocabulary.pieces.size() - 1));
    }
  }
}

}  // namespace

Vocabulary vocabulary_of(const TokenizerJson& file, const std::string& origin) {
  TokenId last = 0;
  for (const auto& [token, id] : file.model.ids) last = std::max(last, id);
  for (const AddedToken& added : file.added) last = std::max(last, added.id);
  Vocabulary vocabulary;
  const auto n = static_cast<std::size_t>(last) + 1;
  vocabulary.pieces.resize(n);
  vocabulary.decode.tokens.resize(n);
  const auto at = [](TokenId id) { return static_cast<std::size_t>(id); };
  for (const auto& [token, id] : file.model.ids) {
    vocabulary.pieces[at(id)] = token;
    vocabulary.decode.tokens[at(id)] = text_of(token, file.decoder);
  }
  for (const AddedToken& added : file.added) {
    vocabulary.pieces[at(added.id)] = added.content;
    vocabulary.decode.tokens[at(added.id)] = text_of(added, file);
  }
  vocabulary.decode.damage = file.decoder.byte_level ? DecodeTable::Damage::part : DecodeTable::Damage::run;
  vocabulary.decode.strip = file.decoder.strip;
  vocabulary.before = file.before;
  vocabulary.after = file.after;
  vocabulary.bos = file.before.empty() ? one_of(file, {"<s>", "<|begin_of_text|>", "<｜begin▁of▁sentence｜>"})
                                       : std::optional<TokenId>(file.before.front());
  vocabulary.eos = one_of(file, {"</s>", "<|end_of_text|>", "<|endoftext|>", "<｜end▁of▁sentence｜>"});
  check_around(vocabulary, origin);
  return vocabulary;
}

}  // namespace hydrajob::tokenizer
