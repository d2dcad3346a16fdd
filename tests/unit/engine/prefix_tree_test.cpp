// The tree of random sequences, against the sequences themselves.
#include "engine/prefix_tree.hpp"

#include <algorithm>
#include <random>

#include <gtest/gtest.h>

using namespace hydrajob;

namespace {

using Ids = std::vector<std::int32_t>;

std::vector<std::span<const std::int32_t>> spans_of(const std::vector<Ids>& sequences) {
  return {sequences.begin(), sequences.end()};
}

WorthSharing at_least(std::int64_t tokens) {
  return [tokens](std::int64_t, std::int64_t n) { return n >= tokens; };
}

// Made of pieces of others before them, so that they branch anywhere; some are the same, or another's
// beginning.
std::vector<Ids> random_sequences(std::mt19937& rng) {
  std::vector<Ids> sequences(1 + rng() % 40);
  for (std::size_t i = 0; i < sequences.size(); ++i) {
    Ids& ids = sequences[i];
    if (i > 0) {
      const Ids& other = sequences[rng() % i];
      ids.assign(other.begin(), other.begin() + static_cast<std::ptrdiff_t>(rng() % (other.size() + 1)));
    }
    const std::size_t more = ids.empty() ? 1 + rng() % 30 : rng() % 30;
    for (std::size_t k = 0; k < more; ++k) ids.push_back(static_cast<std::int32_t>(rng() % 3));
  }
  return sequences;
}

Ids path(const PrefixTree& tree, int node) {
  if (node < 0) return {};
  Ids ids = path(tree, tree.nodes[node].parent);
  ids.insert(ids.end(), tree.nodes[node].tokens.begin(), tree.nodes[node].tokens.end());
  return ids;
}

std::int64_t below(const PrefixTree& tree, int node) {
  std::int64_t n = 0;
  for (const Sequence& sequence : tree.sequences) {
    for (int above = sequence.node; above >= 0; above = tree.nodes[above].parent) n += above == node;
  }
  return n;
}

// Tokens of a tree that shares all there is: each different beginning counts once.
std::int64_t fewest_tokens(std::vector<Ids> sequences) {
  std::sort(sequences.begin(), sequences.end());
  std::int64_t n = 0;
  Ids last;
  for (const Ids& ids : sequences) {
    const auto [mine, theirs] = std::mismatch(ids.begin(), ids.end(), last.begin(), last.end());
    n += ids.end() - mine;
    last = ids;
  }
  return n;
}

}  // namespace

TEST(PrefixTree, PathsAreTheSequences) {
  const std::uint32_t seed = std::random_device{}();
  SCOPED_TRACE("seed " + std::to_string(seed));
  std::mt19937 rng(seed);
  for (int trial = 0; trial < 500; ++trial) {
    const std::vector<Ids> sequences = random_sequences(rng);
    const std::int64_t least = 1 + static_cast<std::int64_t>(rng() % 6);
    const PrefixTree tree = prefix_tree(spans_of(sequences), at_least(least));
    ASSERT_EQ(tree.sequences.size(), sequences.size());
    std::int64_t naive = 0;
    for (std::size_t i = 0; i < sequences.size(); ++i) {
      Ids ids = path(tree, tree.sequences[i].node);
      ids.insert(ids.end(), tree.sequences[i].prompt.begin(), tree.sequences[i].prompt.end());
      ASSERT_EQ(ids, sequences[i]);
      naive += static_cast<std::int64_t>(ids.size());
    }
    for (int node = 0; node < static_cast<int>(tree.nodes.size()); ++node) {
      ASSERT_LT(tree.nodes[node].parent, node);
      ASSERT_GE(static_cast<std::int64_t>(tree.nodes[node].tokens.size()), least);
      ASSERT_GE(below(tree, node), 2);
    }
    ASSERT_LE(tokens_of(tree.nodes, tree.sequences), naive);
    const PrefixTree whole = prefix_tree(spans_of(sequences), at_least(1));
    ASSERT_EQ(tokens_of(whole.nodes, whole.sequences), fewest_tokens(sequences));
  }
}

TEST(PrefixTree, NodesAreInDepthFirstOrder) {
  const std::uint32_t seed = std::random_device{}();
  SCOPED_TRACE("seed " + std::to_string(seed));
  std::mt19937 rng(seed);
  for (int trial = 0; trial < 100; ++trial) {
    const std::vector<Ids> sequences = random_sequences(rng);
    const PrefixTree tree = prefix_tree(spans_of(sequences), at_least(1));
    std::vector<int> way;  // from a root to the last node
    for (int node = 0; node < static_cast<int>(tree.nodes.size()); ++node) {
      while (!way.empty() && way.back() != tree.nodes[node].parent) way.pop_back();
      ASSERT_EQ(way.empty(), tree.nodes[node].parent < 0);
      way.push_back(node);
    }
  }
}

TEST(PrefixTree, IsTheSameInAnyOrder) {
  const std::uint32_t seed = std::random_device{}();
  SCOPED_TRACE("seed " + std::to_string(seed));
  std::mt19937 rng(seed);
  std::vector<Ids> sequences = random_sequences(rng);
  const PrefixTree tree = prefix_tree(spans_of(sequences), at_least(2));
  std::shuffle(sequences.begin(), sequences.end(), rng);
  const PrefixTree other = prefix_tree(spans_of(sequences), at_least(2));
  ASSERT_EQ(tree.nodes.size(), other.nodes.size());
  for (std::size_t i = 0; i < tree.nodes.size(); ++i) {
    EXPECT_EQ(tree.nodes[i].parent, other.nodes[i].parent);
    EXPECT_EQ(tree.nodes[i].tokens, other.nodes[i].tokens);
  }
}

TEST(PrefixTree, TheSamePromptIsOneNode) {
  const std::vector<Ids> sequences(5, Ids{1, 2, 3});
  const PrefixTree tree = prefix_tree(spans_of(sequences), at_least(1));
  ASSERT_EQ(tree.nodes.size(), 1u);
  EXPECT_EQ(tree.nodes[0].tokens, (Ids{1, 2, 3}));
  for (const Sequence& sequence : tree.sequences) {
    EXPECT_EQ(sequence.node, 0);
    EXPECT_TRUE(sequence.prompt.empty());
  }
  EXPECT_EQ(tokens_of(tree.nodes, tree.sequences), 3);
}

// What is too short for a node of its own goes down to the nodes below.
TEST(PrefixTree, ShortRunsAreCopied) {
  const std::vector<Ids> sequences{{1, 2, 2, 2}, {1, 2, 2, 3}, {1, 3}};
  const PrefixTree tree = prefix_tree(spans_of(sequences), at_least(2));
  ASSERT_EQ(tree.nodes.size(), 1u);
  EXPECT_EQ(tree.nodes[0].tokens, (Ids{1, 2, 2}));
  EXPECT_EQ(tree.sequences[1].prompt, Ids{3});
  EXPECT_EQ(tree.sequences[2].node, -1);
  EXPECT_EQ(tree.sequences[2].prompt, (Ids{1, 3}));
}

TEST(PrefixTree, AChainOfPromptsMayBeDeep) {
  std::vector<Ids> sequences;
  const Ids whole(3000, 7);
  for (std::size_t n = 1; n <= whole.size(); ++n) {
    sequences.emplace_back(whole.begin(), whole.begin() + static_cast<std::ptrdiff_t>(n));
  }
  const PrefixTree tree = prefix_tree(spans_of(sequences), at_least(1));
  EXPECT_EQ(tree.nodes.size(), 2999u);
  EXPECT_EQ(tokens_of(tree.nodes, tree.sequences), 3000);
}
