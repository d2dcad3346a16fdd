#include "tokenizer/bpe.hpp"

#include <algorithm>

namespace hydrajob::tokenizer {

void Bpe::merge(std::vector<TokenId>& ids) {
  fill(ids);
  while (!candidates_.empty()) {
    std::pop_heap(candidates_.begin(), candidates_.end());
    const Candidate best = candidates_.back();
    candidates_.pop_back();
    if (still_there(best)) apply(best);
  }
  ids.clear();
  for (int i = symbols_.empty() ? -1 : 0; i >= 0; i = symbols_[static_cast<std::size_t>(i)].next) {
    ids.push_back(symbols_[static_cast<std::size_t>(i)].id);
  }
}

void Bpe::fill(const std::vector<TokenId>& ids) {
  const int n = static_cast<int>(ids.size());
  symbols_.clear();
  for (int i = 0; i < n; ++i) {
    symbols_.push_back({ids[static_cast<std::size_t>(i)], i - 1, i + 1 < n ? i + 1 : -1});
  }
  candidates_.clear();
  for (int i = 0; i + 1 < n; ++i) consider(i);
}

void Bpe::consider(int left) {
  const Symbol& symbol = symbols_[static_cast<std::size_t>(left)];
  const TokenId right = symbols_[static_cast<std::size_t>(symbol.next)].id;
  const Merge* merge = merges_.find(symbol.id, right);
  if (merge == nullptr) return;
  candidates_.push_back({static_cast<std::uint64_t>(merge->rank) << 32 | static_cast<std::uint32_t>(left),
                         symbol.id, right, merge->merged});
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
