// The merges of a BPE vocabulary: which two tokens become which third, and how early.
#pragma once

#include <bit>
#include <cstdint>
#include <limits>
#include <vector>

#include "tokenizer/decode_stream.hpp"

namespace hydrajob::tokenizer {

struct Merge {
  std::uint32_t rank = std::numeric_limits<std::uint32_t>::max();  // low ones first; none comes last
  TokenId merged = -1;

  bool is_one() const { return merged >= 0; }
};

// Open addressing in one block: it is asked for every pair of neighbours of every new word.
class MergeTable {
 public:
  explicit MergeTable(std::size_t n_merges) : slots_(std::bit_ceil(n_merges * 2 + 2)) {}

  // At most as many as the constructor was told. The last of two for one pair counts.
  void insert(TokenId left, TokenId right, Merge merge) {
    Slot& slot = slots_[place_of(key_of(left, right))];
    slot = {key_of(left, right), merge};
  }

  // None where these two do not merge.
  Merge find(TokenId left, TokenId right) const { return slots_[place_of(key_of(left, right))].merge; }

 private:
  struct Slot {
    std::uint64_t key = 0;
    Merge merge;
  };

  static std::uint64_t key_of(TokenId left, TokenId right) {
    return static_cast<std::uint64_t>(left) << 32 | static_cast<std::uint32_t>(right);
  }

  // The key's slot, or the free one where it would be.
  std::size_t place_of(std::uint64_t key) const {
    const std::size_t mask = slots_.size() - 1;
    // The upper bits of the product depend on all bits of the key.
    std::size_t at = static_cast<std::size_t>(key * 0x9e3779b97f4a7c15u >> 32) & mask;
    while (slots_[at].merge.is_one() && slots_[at].key != key) at = (at + 1) & mask;
    return at;
  }

  std::vector<Slot> slots_;
};

}  // namespace hydrajob::tokenizer
