// UTF-8 from outside: which bytes are characters, and what stands for those that are none.
#pragma once

#include <string>
#include <string_view>

namespace hydrajob {

inline constexpr const char* replacement_character = "\xef\xbf\xbd";  // U+FFFD

struct Utf8Step {
  enum class State { whole, damaged, cut };
  State state;         // cut: the text ends where the character could go on
  std::size_t length;  // bytes of the character, or of the part of one that was there
};

// The character at the front of `text`, which is not empty. No surrogates, nothing longer than it has to be.
Utf8Step utf8_step(std::string_view text);

bool is_utf8(std::string_view text);

// One character, whole.
bool is_character(std::string_view text);

// Each part of a character, as long as it can be, becomes one U+FFFD: what Python's errors="replace" does.
std::string replace_damage(std::string_view text);

}  // namespace hydrajob
