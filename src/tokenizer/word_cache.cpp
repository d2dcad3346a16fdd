#include "tokenizer/word_cache.hpp"

#include <algorithm>
#include <functional>

namespace hydrajob::tokenizer {
namespace {

constexpr std::size_t first_slots = 1 << 10;

std::uint32_t hash_of(std::string_view word) {
  return static_cast<std::uint32_t>(std::hash<std::string_view>{}(word)) | 1;
}

// The lowest bit is set in every hash.
std::size_t home_of(std::uint32_t hash, std::size_t n_slots) {
  return (hash >> 1) & (n_slots - 1);
}

}  // namespace

WordCache::WordCache() : slots_(first_slots) {}

std::optional<std::span<const TokenId>> WordCache::find(std::string_view word) const {
  if (word.size() > longest_word) return {};
  const Slot& slot = slots_[place_of(word, hash_of(word))];
  if (slot.hash == 0) return {};
  return std::span(ids_).subspan(slot.ids, slot.n_ids);
}

void WordCache::insert(std::string_view word, std::span<const TokenId> ids) {
  if (word.size() > longest_word || ids.size() > most_ids) return;
  if (n_words_ == most_words) begin_anew();
  if (2 * n_words_ == slots_.size()) grow();
  const std::uint32_t hash = hash_of(word);
  slots_[place_of(word, hash)] = {
      hash, static_cast<std::uint32_t>(words_.size()), static_cast<std::uint32_t>(ids_.size()),
      static_cast<std::uint16_t>(word.size()), static_cast<std::uint16_t>(ids.size())};
  words_ += word;
  ids_.insert(ids_.end(), ids.begin(), ids.end());
  ++n_words_;
}

// The word's slot, or the free one where it would be.
std::size_t WordCache::place_of(std::string_view word, std::uint32_t hash) const {
  const auto is_other = [&](const Slot& slot) {
    return slot.hash != hash || std::string_view(words_).substr(slot.word, slot.word_length) != word;
  };
  std::size_t at = home_of(hash, slots_.size());
  while (slots_[at].hash != 0 && is_other(slots_[at])) at = (at + 1) & (slots_.size() - 1);
  return at;
}

void WordCache::begin_anew() {
  std::fill(slots_.begin(), slots_.end(), Slot{});
  words_.clear();
  ids_.clear();
  n_words_ = 0;
}

void WordCache::grow() {
  std::vector<Slot> larger(2 * slots_.size());
  for (const Slot& slot : slots_) {
    if (slot.hash == 0) continue;
    std::size_t at = home_of(slot.hash, larger.size());
    while (larger[at].hash != 0) at = (at + 1) & (larger.size() - 1);
    larger[at] = slot;
  }
  slots_ = std::move(larger);
}

}  // namespace hydrajob::tokenizer
