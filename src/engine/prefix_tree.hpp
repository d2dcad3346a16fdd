// Finds what token sequences share: a radix tree over their ids, as a batch takes it.
#pragma once

#include <cstdint>
#include <functional>
#include <span>
#include <vector>

#include "engine/batch.hpp"

namespace hydrajob {

// Whether a run of `tokens` tokens that `sequences` sequences begin with, behind what is shared already,
// becomes a node of its own; otherwise each keeps its copy. At least 2 sequences, at least 1 token.
using WorthSharing = std::function<bool(std::int64_t sequences, std::int64_t tokens)>;

struct PrefixTree {
  // In depth-first order: a node stands before those below it, and these side by side.
  std::vector<TreeNode> nodes;
  std::vector<Sequence> sequences;  // as they were given; a node's tokens, root first, then the prompt
};

// Indices of the sequences in lexicographic order of their tokens, equal ones as they were given: those that
// share most are neighbours. Any part of it, as `prefix_tree` sees it, shares what the whole does.
std::vector<std::size_t> order_by_prefix(const std::vector<std::span<const std::int32_t>>& sequences);

// Sequences that are the same as a whole share all of it: their prompts are empty. The same tree whichever
// order they come in, but for the order of `sequences`. Time and memory as the tokens of the tree, besides
// sorting.
PrefixTree prefix_tree(const std::vector<std::span<const std::int32_t>>& sequences,
                       const WorthSharing& worth_sharing);

}  // namespace hydrajob
