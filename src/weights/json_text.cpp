#include "weights/json_text.hpp"

#include <set>
#include <vector>

#include <fmt/format.h>

#include "base/error.hpp"

namespace hydrajob::weights {
namespace {

// What the parser repeats of a damaged file may be no UTF-8.
std::string without_foreign_bytes(std::string text) {
  for (char& c : text) {
    if (static_cast<unsigned char>(c) > 0x7f) c = '?';
  }
  return text;
}

constexpr int deepest = 32;  // objects and lists within each other: those who walk over them recurse

}  // namespace

using nlohmann::json;

std::string printable(std::string text) {
  std::size_t longest = 200;
  for (char& c : text) {
    if (static_cast<unsigned char>(c) < ' ' || c == '\x7f') c = '?';
  }
  if (text.size() <= longest) return text;
  while ((static_cast<unsigned char>(text[longest]) & 0xc0) == 0x80) --longest;  // not within a character
  text.replace(longest, std::string::npos, "…");
  return text;
}

json parse_json_object(const std::string& text, const std::string& origin) {
  std::vector<std::set<std::string>> keys;  // of the objects that are open
  const auto check_keys = [&](int depth, json::parse_event_t event, json& parsed) {
    if (depth > deepest) throw UsageError(fmt::format("{}: nested more than {} deep", origin, deepest));
    if (event == json::parse_event_t::object_start) keys.emplace_back();
    if (event == json::parse_event_t::object_end) keys.pop_back();
    if (event == json::parse_event_t::key && !keys.back().insert(parsed.get<std::string>()).second) {
      throw UsageError(
          fmt::format("{}: '{}' stands there twice", origin, printable(parsed.get<std::string>())));
    }
    return true;
  };
  try {
    json value = json::parse(text, check_keys);
    if (!value.is_object()) throw UsageError(origin + ": no JSON object");
    return value;
  } catch (const json::exception& e) {
    throw UsageError(fmt::format("{}: {}", origin, printable(without_foreign_bytes(e.what()))));
  }
}

}  // namespace hydrajob::weights
