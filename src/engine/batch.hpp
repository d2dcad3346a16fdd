// What an engine is asked to generate: a tree of shared token runs, and sequences hanging from its nodes.
#pragma once

#include <cstdint>
#include <vector>

namespace hydrajob {

struct TreeNode {
  int parent = -1;                   // index into Batch::nodes, smaller than the node's own; -1: a root
  std::vector<std::int32_t> tokens;  // may be empty
};

struct Sequence {
  int node = -1;  // the tree node it continues; -1: none (then the prompt must not be empty)
  std::vector<std::int32_t> prompt;  // its own tokens, may be empty
  std::int32_t random_stream = -1;   // whose random numbers it draws with; -1: of its index in the batch
};

struct Batch {
  std::vector<TreeNode> nodes;
  std::vector<Sequence> sequences;
  std::int64_t new_tokens =
      1;  // tokens to generate per sequence, the first one from the prompt's last logits
};

// Tokens that are computed: of all nodes and prompts.
std::int64_t tokens_of(const std::vector<TreeNode>& nodes, const std::vector<Sequence>& sequences);

}  // namespace hydrajob
