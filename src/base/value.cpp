#include "base/value.hpp"

#include <fmt/format.h>

namespace hydrajob {

std::string to_string(const Value& value) {
  return std::visit(
      [](const auto& v) -> std::string {
        if constexpr (std::is_same_v<std::decay_t<decltype(v)>, std::string>) {
          return v;
        } else {
          return fmt::format("{}", v);
        }
      },
      value);
}

std::string to_string(const Parameters& parameters) {
  std::string line;
  for (const auto& [name, value] : parameters) {
    if (!line.empty()) line += ' ';
    line += name + '=' + to_string(value);
  }
  return line;
}

}  // namespace hydrajob
