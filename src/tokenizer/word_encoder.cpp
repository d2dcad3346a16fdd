#include "tokenizer/word_encoder.hpp"

#include <fmt/format.h>

#include "base/error.hpp"
#include "base/printable.hpp"
#include "base/utf8.hpp"
#include "tokenizer/byte_alphabet.hpp"

namespace hydrajob::tokenizer {
namespace {

MergeTable merge_table(const BpeModel& model, const std::string& origin) {
  MergeTable table(model.merges.size());
  std::uint32_t rank = 0;
  for (const auto& [left, right] : model.merges) {
    const auto id_of = [&](const std::string& token) {
      const auto found = model.ids.find(token);
      if (found != model.ids.end()) return found->second;
      throw UsageError(fmt::format("{}: model.merges[{}]: '{}' is no token of model.vocab", origin, rank,
                                   printable(token)));
    };
    const TokenId left_id = id_of(left), right_id = id_of(right);
    table.insert(left_id, right_id, {rank, id_of(left + right)});
    ++rank;
  }
  return table;
}

}  // namespace

WordEncoder::WordEncoder(const BpeModel& model, bool byte_level, const std::string& origin)
    : byte_level_(byte_level),
      fuse_unknown_(model.fuse_unknown),
      ignore_merges_(model.ignore_merges),
      byte_fallback_(model.byte_fallback),
      unknown_(model.unknown),
      bpe_(merge_table(model, origin)) {
  if (byte_level) {
    use_bytes(model, origin);
  } else {
    use_characters(model, origin);
  }
}

void WordEncoder::use_bytes(const BpeModel& model, const std::string& origin) {
  for (const auto& [token, id] : model.ids) {
    if (auto bytes = spelled_bytes(token)) tokens_.emplace(std::move(*bytes), id);
  }
  for (std::size_t byte = 0; byte < byte_ids_.size(); ++byte) {
    const auto found = tokens_.find(std::string(1, static_cast<char>(byte)));
    if (found == tokens_.end())
      throw UsageError(fmt::format("{}: model.vocab has no token for byte {}", origin, byte));
    byte_ids_[byte] = found->second;
  }
}

void WordEncoder::use_characters(const BpeModel& model, const std::string& origin) {
  for (const auto& [token, id] : model.ids) {
    if (is_character(token)) alphabet_.insert(token, id);
    if (ignore_merges_) tokens_.emplace(token, id);
  }
  if (!byte_fallback_ && !unknown_) {
    throw UsageError(origin + ": model has neither byte_fallback nor unk_token: it would lose characters");
  }
  for (std::size_t byte = 0; byte_fallback_ && byte < byte_ids_.size(); ++byte) {
    const auto found = model.ids.find(fmt::format("<0x{:02X}>", byte));
    if (found == model.ids.end()) {
      throw UsageError(
          fmt::format("{}: model.byte_fallback: model.vocab has no token <0x{:02X}>", origin, byte));
    }
    byte_ids_[byte] = found->second;
  }
}

void WordEncoder::append(std::string_view word, std::vector<TokenId>& ids) {
  if (const auto known = cache_.find(word)) {
    ids.insert(ids.end(), known->begin(), known->end());
    return;
  }
  const std::size_t begin = ids.size();
  encode(word, ids);
  cache_.insert(word, std::span(ids).subspan(begin));
}

void WordEncoder::encode(std::string_view word, std::vector<TokenId>& ids) {
  if (ignore_merges_) {
    if (const auto found = tokens_.find(word); found != tokens_.end()) return ids.push_back(found->second);
  }
  const std::size_t begin = ids.size();
  if (byte_level_) {
    append_bytes(word, ids);
  } else {
    append_characters(word, ids);
  }
  bpe_.merge(ids, begin);
}

void WordEncoder::append_bytes(std::string_view word, std::vector<TokenId>& ids) const {
  for (const char byte : word) ids.push_back(byte_ids_[static_cast<unsigned char>(byte)]);
}

void WordEncoder::append_characters(std::string_view word, std::vector<TokenId>& ids) const {
  bool was_unknown = false;
  while (!word.empty()) {
    const std::string_view character = word.substr(0, utf8_step(word).length);
    const TokenId id = alphabet_.find(character);
    const bool is_unknown = id == Alphabet::none && !byte_fallback_;
    if (id != Alphabet::none) {
      ids.push_back(id);
    } else if (byte_fallback_) {
      append_bytes(character, ids);
    } else if (!was_unknown || !fuse_unknown_) {
      ids.push_back(*unknown_);
    }
    was_unknown = is_unknown;
    word.remove_prefix(character.size());
  }
}

}  // namespace hydrajob::tokenizer
