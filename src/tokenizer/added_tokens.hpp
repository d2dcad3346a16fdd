// Added tokens, special ones mostly, found in a text before it is cut into words.
#pragma once

#include <array>
#include <map>
#include <string_view>
#include <vector>

#include "tokenizer/decode_stream.hpp"

namespace hydrajob::tokenizer {

// A tree of their bytes.
class AddedTokens {
 public:
  AddedTokens() : nodes_(1) {}

  // `content` is not empty. The first of two with the same content counts.
  void insert(std::string_view content, TokenId id);

  // The tokens in `text`, the leftmost first and of those the longest, and what is between them, in turn:
  // on_token(id) and on_text(part), of which no part is empty.
  template <typename OnText, typename OnToken>
  void split(std::string_view text, OnText on_text, OnToken on_token) const {
    std::size_t begin = 0;  // of the part that holds no token
    for (std::size_t at = 0; at < text.size();) {
      const Found found = longest_at(text, at);
      if (found.length == 0) {
        ++at;
        continue;
      }
      if (at > begin) on_text(text.substr(begin, at - begin));
      on_token(found.id);
      begin = at += found.length;
    }
    if (begin < text.size()) on_text(text.substr(begin));
  }

 private:
  static constexpr TokenId none = -1;
  struct Node {
    std::map<char, std::size_t> next;
    TokenId id = none;
  };
  struct Found {
    std::size_t length = 0;
    TokenId id = none;
  };

  Found longest_at(std::string_view text, std::size_t at) const {
    // Most bytes begin no token: asked first, for every byte of every text.
    if (!begins_[static_cast<unsigned char>(text[at])]) return {};
    return follow(text.substr(at));
  }
  Found follow(std::string_view text) const;

  std::array<bool, 256> begins_{};
  std::vector<Node> nodes_;
};

}  // namespace hydrajob::tokenizer
