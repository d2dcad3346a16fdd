// The characters that are tokens: what BPE over characters begins with.
#pragma once

#include <array>
#include <cstdint>
#include <string_view>
#include <unordered_map>

#include "tokenizer/decode_stream.hpp"

namespace hydrajob::tokenizer {

class Alphabet {
 public:
  static constexpr TokenId none = -1;

  Alphabet() { single_.fill(none); }

  // `character`: whole, in UTF-8; likewise below.
  void insert(std::string_view character, TokenId id) {
    if (character.size() == 1) {
      single_[static_cast<unsigned char>(character.front())] = id;
    } else {
      others_[key_of(character)] = id;
    }
  }

  TokenId find(std::string_view character) const {
    if (character.size() == 1) return single_[static_cast<unsigned char>(character.front())];
    const auto found = others_.find(key_of(character));
    return found == others_.end() ? none : found->second;
  }

 private:
  static std::uint32_t key_of(std::string_view character) {
    std::uint32_t key = 0;
    for (const char byte : character) key = key << 8 | static_cast<unsigned char>(byte);
    return key;
  }

  std::array<TokenId, 256> single_;
  std::unordered_map<std::uint32_t, TokenId> others_;
};

}  // namespace hydrajob::tokenizer
