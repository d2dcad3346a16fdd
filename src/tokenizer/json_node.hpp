// JSON from outside: each value is checked as it is read, and a message names its place.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include <nlohmann/json.hpp>

namespace hydrajob::tokenizer {

// A value and its place. The value outlives this.
class JsonNode {
 public:
  // `joint`: between the place and a key within it.
  JsonNode(const nlohmann::json& value, std::string place, const char* joint = ".")
      : value_(value), place_(std::move(place)), joint_(joint) {}

  // Null is as good as absent. These throw UsageError where this is no object.
  std::optional<JsonNode> find(const char* key) const;
  JsonNode at(const char* key) const;
  bool boolean(const char* key, bool fallback) const;
  std::string text(const char* key, const std::string& fallback) const;
  // The key must hold nothing but this.
  void expect_false(const char* key) const;

  // Each throws UsageError where this is something else.
  const std::string& text() const;
  bool boolean() const;
  std::int32_t id() const;
  const nlohmann::json::object_t& object() const;
  const nlohmann::json::array_t& array() const;
  std::vector<JsonNode> list() const;  // of array()

  [[noreturn]] void wrong(const std::string& expected) const;
  const std::string& place() const { return place_; }

 private:
  const nlohmann::json& value_;
  std::string place_;
  const char* joint_;
};

inline constexpr std::int32_t largest_id = (1 << 20) - 1;  // four times the largest vocabularies there are

// A whole number from 0 to largest_id; nothing where it is not.
std::optional<std::int32_t> id_of(const nlohmann::json& value);

}  // namespace hydrajob::tokenizer
