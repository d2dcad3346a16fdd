#include "tokenizer/words.hpp"

namespace hydrajob::tokenizer {

std::size_t first_word(std::string_view text, std::string_view space) {
  for (std::size_t at = text.find(space, 1); at != std::string_view::npos; at = text.find(space, at + 1)) {
    const std::string_view before = text.substr(0, at);
    if (!before.ends_with(' ') && !before.ends_with(space_mark)) return at;
  }
  return text.size();
}

}  // namespace hydrajob::tokenizer
