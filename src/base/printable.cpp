#include "base/printable.hpp"

#include "base/utf8.hpp"

namespace hydrajob {

std::string printable(std::string text) {
  constexpr std::size_t longest = 200;
  const bool cut = text.size() > longest;
  if (cut) text.resize(longest);
  for (char& c : text) {
    if (static_cast<unsigned char>(c) < ' ' || c == '\x7f') c = '?';
  }
  return replace_damage(text) + (cut ? "…" : "");
}

}  // namespace hydrajob
