#include "tokenizer/byte_alphabet.hpp"

#include <array>

namespace hydrajob::tokenizer {
namespace {

constexpr int n_characters = 324;  // U+0000 to U+0143, the last that stands for a byte
constexpr int no_byte = -1;

// Printable characters of Latin-1 stand for themselves, the other bytes for U+0100 and on, in turn.
constexpr std::array<int, n_characters> make_bytes() {
  std::array<int, n_characters> bytes{};
  bytes.fill(no_byte);
  int next = 256;
  for (int byte = 0; byte < 256; ++byte) {
    const bool printable = (byte >= 0x21 && byte <= 0x7e) || (byte >= 0xa1 && byte != 0xad);
    bytes[static_cast<std::size_t>(printable ? byte : next++)] = byte;
  }
  return bytes;
}

constexpr std::array<int, n_characters> byte_of = make_bytes();

}  // namespace

std::optional<std::string> spelled_bytes(std::string_view token) {
  std::string bytes;
  for (std::size_t i = 0; i < token.size(); ++i) {
    auto character = static_cast<unsigned>(static_cast<unsigned char>(token[i]));
    if (character >= 0x80) {
      // All characters of the alphabet have at most two bytes.
      if (character >= 0xe0 || i + 1 == token.size()) return {};
      character = (character & 0x1f) << 6 | (static_cast<unsigned char>(token[++i]) & 0x3f);
    }
    if (character >= n_characters || byte_of[character] == no_byte) return {};
    bytes += static_cast<char>(byte_of[character]);
  }
  return bytes;
}

}  // namespace hydrajob::tokenizer
