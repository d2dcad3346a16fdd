// Where a text without pre-tokenisation can be cut without changing its tokens.
//
// In BPE every symbol, at every step, is a piece of the vocabulary. Where no piece holds a "▁" behind another
// character, no symbol ever reaches over the border before such a "▁": what stands left of it and what stands
// right of it are merged independently, by the same rule (best score, then leftmost), and either part alone
// gives the tokens that it gives in the whole. So long texts are cut into words, and a word is encoded once.
#pragma once

#include <string>
#include <string_view>
#include <vector>

namespace hydrajob::tokenizer {

inline constexpr std::string_view space_mark = "\xe2\x96\x81";  // "▁", what a space is in pieces

// Whether no piece holds a "▁" behind another character.
template <typename Pieces, typename TextOf>
bool words_stand_alone(const Pieces& pieces, TextOf text_of) {
  for (const auto& piece : pieces) {
    std::string_view text = text_of(piece);
    while (text.starts_with(space_mark)) text.remove_prefix(space_mark.size());
    if (text.find(space_mark) != std::string_view::npos) return false;
  }
  return true;
}

// The length of the first word: as far as the next `space` that stands behind another character. `space` is "
// " or "▁"; the other counts as a space behind which no word begins.
std::size_t first_word(std::string_view text, std::string_view space);

}  // namespace hydrajob::tokenizer
