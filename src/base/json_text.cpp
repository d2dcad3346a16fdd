#include "base/json_text.hpp"

#include <unordered_set>
#include <vector>

#include <fmt/format.h>

#include "base/error.hpp"
#include "base/printable.hpp"

namespace hydrajob {
namespace {

constexpr int deepest = 32;  // objects and lists within each other: those who walk over them recurse

}  // namespace

using nlohmann::json;

json parse_json_object(std::string_view text, const std::string& origin) {
  std::vector<std::unordered_set<std::string>> keys;  // of the objects that are open
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
    json value = json::parse(text.begin(), text.end(), check_keys);
    if (!value.is_object()) throw UsageError(origin + ": no JSON object");
    return value;
  } catch (const json::exception& e) {
    throw UsageError(fmt::format("{}: {}", origin, printable(e.what())));
  }
}

}  // namespace hydrajob
