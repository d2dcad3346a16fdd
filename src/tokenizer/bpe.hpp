// Byte-pair encoding: of all neighbours the two of the lowest rank merge, the leftmost first, until none do.
#pragma once

#include <array>
#include <cstdint>
#include <vector>

#include "tokenizer/merge_table.hpp"

namespace hydrajob::tokenizer {

class Bpe {
 public:
  explicit Bpe(MergeTable merges) : merges_(std::move(merges)) {}

  // The ids from `begin` on, in place: n of them in O(n log n).
  void merge(std::vector<TokenId>& ids, std::size_t begin = 0);

 private:
  // Looking through all pairs for the best costs less than a heap as long as they fit a few cache lines.
  static constexpr std::size_t short_word = 32;  // ids

  // A list within a block: what is merged away leaves it.
  struct Symbol {
    TokenId id;
    int previous, next;  // -1 at the ends
  };
  struct Candidate {
    std::uint64_t order;  // rank, then place
    TokenId left, right, merged;
    bool operator<(const Candidate& other) const {
      return order > other.order;
    }  // of a heap: the least on top
  };

  std::size_t merge_short(TokenId* ids, std::size_t n) const;

  void fill(const TokenId* ids, int n);
  void consider(int left);
  bool still_there(const Candidate& candidate) const;
  void apply(const Candidate& candidate);

  MergeTable merges_;
  std::vector<Symbol> symbols_;        // both kept between calls for their memory
  std::vector<Candidate> candidates_;  // a heap
};

}  // namespace hydrajob::tokenizer
