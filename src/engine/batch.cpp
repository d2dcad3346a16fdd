#include "engine/batch.hpp"

namespace hydrajob {

std::int64_t tokens_of(const std::vector<TreeNode>& nodes, const std::vector<Sequence>& sequences) {
  std::int64_t n = 0;
  for (const TreeNode& node : nodes) n += static_cast<std::int64_t>(node.tokens.size());
  for (const Sequence& sequence : sequences) n += static_cast<std::int64_t>(sequence.prompt.size());
  return n;
}

}  // namespace hydrajob
