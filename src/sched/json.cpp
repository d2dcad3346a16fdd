#include "sched/json.hpp"

#include <cmath>

#include <fmt/format.h>

namespace hydrajob {

std::string json_string(std::string_view text) {
  std::string out = "\"";
  for (const char c : text) {
    if (c == '"' || c == '\\') {
      out += '\\';
      out += c;
    } else if (static_cast<unsigned char>(c) < 0x20) {
      out += fmt::format("\\u{:04x}", static_cast<unsigned>(c));
    } else {
      out += c;
    }
  }
  return out + "\"";
}

JsonObject& JsonObject::add_json(std::string_view key, const std::string& json) {
  if (!members_.empty()) members_ += ", ";
  members_ += json_string(key) + ": " + json;
  return *this;
}

JsonObject& JsonObject::add(std::string_view key, std::string_view text) {
  return add_json(key, json_string(text));
}
JsonObject& JsonObject::add(std::string_view key, int number) {
  return add_json(key, std::to_string(number));
}
JsonObject& JsonObject::add(std::string_view key, bool value) {
  return add_json(key, value ? "true" : "false");
}

JsonObject& JsonObject::add(std::string_view key, double number) {
  return add_json(key, std::isfinite(number) ? fmt::format("{}", number) : "null");
}

std::string json_array(const std::vector<std::string>& json_values) {
  std::string out = "[";
  for (const std::string& value : json_values) out += (out.size() > 1 ? ", " : "") + value;
  return out + "]";
}

}  // namespace hydrajob
