#include "tokenizer/added_tokens.hpp"

namespace hydrajob::tokenizer {

void AddedTokens::insert(std::string_view content, TokenId id) {
  begins_[static_cast<unsigned char>(content.front())] = true;
  std::size_t at = 0;
  for (const char byte : content) {
    const auto [next, is_new] = nodes_[at].next.emplace(byte, nodes_.size());
    at = next->second;
    if (is_new) nodes_.emplace_back();
  }
  if (nodes_[at].id == none) nodes_[at].id = id;
}

AddedTokens::Found AddedTokens::follow(std::string_view text) const {
  Found found;
  std::size_t at = 0;
  for (std::size_t length = 1; length <= text.size(); ++length) {
    const auto next = nodes_[at].next.find(text[length - 1]);
    if (next == nodes_[at].next.end()) break;
    at = next->second;
    if (nodes_[at].id != none) found = {length, nodes_[at].id};
  }
  return found;
}

}  // namespace hydrajob::tokenizer
