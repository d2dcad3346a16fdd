#include "weights/json_text.hpp"

#include <set>
#include <vector>

#include <fmt/format.h>

#include "base/error.hpp"

namespace hydrajob::weights {
namespace {

// What a parser repeats of a damaged file is not always text.
std::string printable(std::string text) {
  for (char& c : text) {
    if (c < ' ' || c > '~') c = '?';
  }
  return text;
}

}  // namespace

using nlohmann::json;

json parse_json_object(const std::string& text, const std::string& origin) {
  std::vector<std::set<std::string>> keys;  // of the objects that are open
  const auto check_keys = [&](int, json::parse_event_t event, json& parsed) {
    if (event == json::parse_event_t::object_start) keys.emplace_back();
    if (event == json::parse_event_t::object_end) keys.pop_back();
    if (event == json::parse_event_t::key && !keys.back().insert(parsed.get<std::string>()).second) {
      throw UsageError(fmt::format("{}: '{}' stands there twice", origin, parsed.get<std::string>()));
    }
    return true;
  };
  try {
    json value = json::parse(text, check_keys);
    if (!value.is_object()) throw UsageError(origin + ": no JSON object");
    return value;
  } catch (const json::exception& e) {
    throw UsageError(fmt::format("{}: {}", origin, printable(e.what())));
  }
}

}  // namespace hydrajob::weights
