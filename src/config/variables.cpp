#include "config/variables.hpp"

#include <algorithm>
#include <cctype>
#include <cstddef>
#include <cstdlib>

#include <fmt/format.h>

namespace hydrajob {
namespace {

bool is_name(std::string_view text) {
  const auto word = [](unsigned char c) { return std::isalnum(c) != 0 || c == '_'; };
  return !text.empty() && std::isdigit(static_cast<unsigned char>(text[0])) == 0 &&
         std::all_of(text.begin(), text.end(), word);
}

// The index of the brace that closes the one before `begin`; npos when there is none.
std::size_t closing_brace(std::string_view text, std::size_t begin) {
  int depth = 1;
  for (std::size_t i = begin; i < text.size(); ++i) {
    if (text[i] == '{') ++depth;
    if (text[i] == '}' && --depth == 0) return i;
  }
  return std::string_view::npos;
}

// inside: "NAME" or "NAME:-default".
std::string value_of(std::string_view inside, const Place& place) {
  const std::size_t separator = inside.find(":-");
  const std::string name(inside.substr(0, separator));
  if (!is_name(name)) {
    fail_at(place, fmt::format("'${{{}}}': expected ${{NAME}} or ${{NAME:-default}}", inside));
  }
  const char* value = std::getenv(name.c_str());
  const bool has_default = separator != std::string_view::npos;
  if (has_default && (value == nullptr || *value == '\0')) {
    return expand_variables(inside.substr(separator + 2), place);
  }
  if (value == nullptr) {
    fail_at(place,
            fmt::format("the environment variable {0} is not set: set it, or write ${{{0}:-default}}", name));
  }
  return value;
}

}  // namespace

std::string expand_variables(std::string_view text, const Place& place) {
  std::string result;
  std::size_t at = 0;
  while (at < text.size()) {
    const std::string_view rest = text.substr(at);
    if (rest.starts_with("$${")) {
      result += "${";
      at += 3;
    } else if (rest.starts_with("${")) {
      const std::size_t end = closing_brace(text, at + 2);
      if (end == std::string_view::npos) fail_at(place, fmt::format("'{}': '}}' is missing", text));
      result += value_of(text.substr(at + 2, end - at - 2), place);
      at = end + 1;
    } else {
      result += text[at++];
    }
  }
  return result;
}

std::string protect_variables(std::string text) {
  for (std::size_t at = 0; (at = text.find("${", at)) != std::string::npos; at += 3) text.insert(at, 1, '$');
  return text;
}

}  // namespace hydrajob
