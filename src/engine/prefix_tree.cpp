#include "engine/prefix_tree.hpp"

#include <algorithm>
#include <numeric>

namespace hydrajob {
namespace {

using Tokens = std::span<const std::int32_t>;

// Sequences [first, last) in lexicographic order, which agree in their first `known` tokens at least; those
// up to `placed` stand in the nodes from `parent` upwards.
struct Range {
  std::size_t first;
  std::size_t last;
  std::size_t known;
  std::size_t placed;
  int parent;
};

class Builder {
 public:
  Builder(const std::vector<Tokens>& sequences, const WorthSharing& worth_sharing)
      : sequences_(sequences), worth_sharing_(worth_sharing), order_(order_by_prefix(sequences)) {}

  PrefixTree build() {
    tree_.sequences.resize(sequences_.size());
    if (!sequences_.empty()) open_.push_back({0, sequences_.size(), 0, 0, -1});
    while (!open_.empty()) {  // a stack of its own: a chain of prompts may be deep
      const Range range = open_.back();
      open_.pop_back();
      visit(range);
    }
    return std::move(tree_);
  }

 private:
  void visit(Range range) {
    range.known = common_length(range);
    const std::size_t shared = range.known - range.placed;
    const auto n = static_cast<std::int64_t>(range.last - range.first);
    if (n > 1 && shared > 0 && worth_sharing_(n, static_cast<std::int64_t>(shared))) add_node(range);
    std::size_t next = range.first;
    while (next < range.last && at(next).size() == range.known) add_sequence(range, next++);
    push_children(range, next);
  }

  // Of all in the range: of its first and its last.
  std::size_t common_length(const Range& range) const {
    const Tokens a = at(range.first), b = at(range.last - 1);
    std::size_t n = range.known;
    while (n < a.size() && n < b.size() && a[n] == b[n]) ++n;
    return n;
  }

  void add_node(Range& range) {
    const Tokens own = at(range.first).subspan(range.placed, range.known - range.placed);
    tree_.nodes.push_back({range.parent, {own.begin(), own.end()}});
    range.parent = static_cast<int>(tree_.nodes.size()) - 1;
    range.placed = range.known;
  }

  void add_sequence(const Range& range, std::size_t place) {
    const Tokens own = at(place).subspan(range.placed);
    tree_.sequences[order_[place]] = {range.parent, {own.begin(), own.end()}};
  }

  // Those that go on with the same token are together. The first is visited first.
  void push_children(const Range& range, std::size_t first) {
    const std::size_t begin = open_.size();
    while (first < range.last) {
      std::size_t last = first + 1;
      while (last < range.last && at(last)[range.known] == at(first)[range.known]) ++last;
      open_.push_back({first, last, range.known, range.placed, range.parent});
      first = last;
    }
    std::reverse(open_.begin() + static_cast<std::ptrdiff_t>(begin), open_.end());
  }

  Tokens at(std::size_t place) const { return sequences_[order_[place]]; }

  const std::vector<Tokens>& sequences_;
  const WorthSharing& worth_sharing_;
  std::vector<std::size_t> order_;
  std::vector<Range> open_;
  PrefixTree tree_;
};

}  // namespace

std::vector<std::size_t> order_by_prefix(const std::vector<Tokens>& sequences) {
  std::vector<std::size_t> order(sequences.size());
  std::iota(order.begin(), order.end(), std::size_t{0});
  std::stable_sort(order.begin(), order.end(), [&](std::size_t a, std::size_t b) {
    return std::lexicographical_compare(sequences[a].begin(), sequences[a].end(), sequences[b].begin(),
                                        sequences[b].end());
  });
  return order;
}

PrefixTree prefix_tree(const std::vector<Tokens>& sequences, const WorthSharing& worth_sharing) {
  return Builder(sequences, worth_sharing).build();
}

}  // namespace hydrajob
