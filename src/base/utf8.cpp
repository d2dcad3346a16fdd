#include "base/utf8.hpp"

namespace hydrajob {
namespace {

struct SecondByte {
  unsigned char least, most;
};

// Keeps out what is longer than it has to be, surrogates, and what lies above U+10FFFF.
SecondByte second_byte_after(unsigned char first) {
  switch (first) {
    case 0xe0:
      return {0xa0, 0xbf};
    case 0xed:
      return {0x80, 0x9f};
    case 0xf0:
      return {0x90, 0xbf};
    case 0xf4:
      return {0x80, 0x8f};
    default:
      return {0x80, 0xbf};
  }
}

std::size_t length_after(unsigned char first) {
  if (first < 0x80) return 1;
  if (first < 0xc2 || first > 0xf4) return 0;  // starts no character
  return first < 0xe0 ? 2 : first < 0xf0 ? 3 : 4;
}

}  // namespace

Utf8Step utf8_step(std::string_view text) {
  using State = Utf8Step::State;
  const auto first = static_cast<unsigned char>(text.front());
  const std::size_t length = length_after(first);
  if (length == 0) return {State::damaged, 1};
  SecondByte range = second_byte_after(first);
  for (std::size_t i = 1; i < length; ++i) {
    if (i == text.size()) return {State::cut, i};
    const auto byte = static_cast<unsigned char>(text[i]);
    if (byte < range.least || byte > range.most) return {State::damaged, i};
    range = {0x80, 0xbf};
  }
  return {State::whole, length};
}

bool is_utf8(std::string_view text) {
  while (!text.empty()) {
    const Utf8Step step = utf8_step(text);
    if (step.state != Utf8Step::State::whole) return false;
    text.remove_prefix(step.length);
  }
  return true;
}

bool is_character(std::string_view text) {
  if (text.empty()) return false;
  const Utf8Step step = utf8_step(text);
  return step.state == Utf8Step::State::whole && step.length == text.size();
}

std::string replace_damage(std::string_view text) {
  std::string replaced;
  replaced.reserve(text.size());
  while (!text.empty()) {
    const Utf8Step step = utf8_step(text);
    if (step.state == Utf8Step::State::whole) {
      replaced += text.substr(0, step.length);
    } else {
      replaced += replacement_character;
    }
    text.remove_prefix(step.length);
  }
  return replaced;
}

}  // namespace hydrajob
