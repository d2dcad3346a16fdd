#include "tokenizer/bpe.hpp"

#include <algorithm>

namespace hydrajob::tokenizer {

void Bpe::merge(std::vector<TokenId>& ids, std::size_t begin) {
  const std::size_t n = ids.size() - begin;
  if (n <= short_word) {
    ids.resize(begin + merge_short(ids.data() + begin, n));
    return;
  }
  fill(ids.data() + begin, static_cast<int>(n));
  while (!candidates_.empty()) {
    std::pop_heap(candidates_.begin(), candidates_.end());
    const Candidate best = candidates_.back();
    candidates_.pop_back();
    if (still_there(best)) apply(best);
  }
  ids.resize(begin);
  for (int i = 0; i >= 0; i = symbols_[static_cast<std::size_t>(i)].next) {
    ids.push_back(symbols_[static_cast<std::size_t>(i)].id);
  }
}

// How many are left.
std::size_t Bpe::merge_short(TokenId* ids, std::size_t n) const {
  std::array<Merge, short_word> pairs;  // (n - 1): what each id and the next become
  for (std::size_t i = 0; i + 1 < n; ++i) pairs[i] = merges_.find(ids[i], ids[i + 1]);
  while (n > 1) {
    std::size_t best = 0;
    for (std::size_t i = 1; i + 1 < n; ++i) {
      if (pairs[i].rank < pairs[best].rank) best = i;
    }
    if (!pairs[best].is_one()) break;
    ids[best] = pairs[best].merged;
    std::copy(ids + best + 2, ids + n, ids + best + 1);
    std::copy(pairs.begin() + best + 1, pairs.begin() + n - 1, pairs.begin() + best);
    --n;
    if (best > 0) pairs[best - 1] = merges_.find(ids[best - 1], ids[best]);
    if (best + 1 < n) pairs[best] = merges_.find(ids[best], ids[best + 1]);
  }
  return n;
}

void Bpe::fill(const TokenId* ids, int n) {
  symbols_.clear();
  for (int i = 0; i < n; ++i) symbols_.push_back({ids[i], i - 1, i + 1 < n ? i + 1 : -1});
  candidates_.clear();
  for (int i = 0; i + 1 < n; ++i) consider(i);
}

void Bpe::consider(int left) {
  const Symbol& symbol = symbols_[static_cast<std::size_t>(left)];
  const TokenId right = symbols_[static_cast<std::size_t>(symbol.next)].id;
  const Merge merge = merges_.find(symbol.id, right);
  if (!merge.is_one()) return;
  candidates_.push_back({static_cast<std::uint64_t>(merge.rank) << 32 | static_cast<std::uint32_t>(left),
                         symbol.id, right, merge.merged});
  std::push_heap(candidates_.begin(), candidates_.end());
}

// A symbol only ever grows, so that a pair which changed never comes back.
bool Bpe::still_there(const Candidate& candidate) const {
  const Symbol& left = symbols_[candidate.order & 0xffffffffu];
  return left.id == candidate.left && left.next >= 0 &&
         symbols_[static_cast<std::size_t>(left.next)].id == candidate.right;
}

void Bpe::apply(const Candidate& candidate) {
  const int at = static_cast<int>(candidate.order & 0xffffffffu);
  Symbol& left = symbols_[static_cast<std::size_t>(at)];
  Symbol& right = symbols_[static_cast<std::size_t>(left.next)];
  left.id = candidate.merged;
  left.next = right.next;
  right.id = -1;
  if (left.next >= 0) {
    symbols_[static_cast<std::size_t>(left.next)].previous = at;
    consider(at);
  }
  if (left.previous >= 0) consider(left.previous);
}

}  // namespace hydrajob::tokenizer
