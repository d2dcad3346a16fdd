// Writes JSON objects: strings, numbers, and objects already written.
#pragma once

#include <string>
#include <string_view>
#include <vector>

namespace hydrajob {

// With quotes; control characters and what JSON reserves are escaped, UTF-8 is kept.
std::string json_string(std::string_view text);

class JsonObject {
 public:
  JsonObject& add(std::string_view key, std::string_view text);
  JsonObject& add(std::string_view key, const char* text) { return add(key, std::string_view(text)); }
  JsonObject& add(std::string_view key, const std::string& text) { return add(key, std::string_view(text)); }
  JsonObject& add(std::string_view key, double number);
  JsonObject& add(std::string_view key, int number);
  JsonObject& add(std::string_view key, bool value);
  // `json`: a value in JSON.
  JsonObject& add_json(std::string_view key, const std::string& json);
  std::string text() const { return "{" + members_ + "}"; }

 private:
  std::string members_;
};

std::string json_array(const std::vector<std::string>& json_values);

}  // namespace hydrajob
