#include "tokenizer/json_node.hpp"

#include <fmt/format.h>

#include "base/error.hpp"
#include "base/printable.hpp"

namespace hydrajob::tokenizer {

using nlohmann::json;

std::optional<JsonNode> JsonNode::find(const char* key) const {
  const auto found = object().find(key);
  if (found == object().end() || found->second.is_null()) return {};
  return JsonNode(found->second, fmt::format("{}{}{}", place_, joint_, key));
}

JsonNode JsonNode::at(const char* key) const {
  if (auto node = find(key)) return *node;
  throw UsageError(fmt::format("{}: '{}' is missing", place_, key));
}

bool JsonNode::boolean(const char* key, bool fallback) const {
  const auto node = find(key);
  return node ? node->boolean() : fallback;
}

std::string JsonNode::text(const char* key, const std::string& fallback) const {
  const auto node = find(key);
  return node ? node->text() : fallback;
}

void JsonNode::expect_false(const char* key) const {
  if (boolean(key, false)) at(key).wrong("false: nothing else is supported");
}

const std::string& JsonNode::text() const {
  if (!value_.is_string()) wrong("text");
  return value_.get_ref<const std::string&>();
}

bool JsonNode::boolean() const {
  if (!value_.is_boolean()) wrong("true or false");
  return value_.get<bool>();
}

std::int32_t JsonNode::id() const {
  const auto id = id_of(value_);
  if (!id) wrong(fmt::format("a token id from 0 to {}", largest_id));
  return *id;
}

std::vector<JsonNode> JsonNode::list() const {
  std::vector<JsonNode> nodes;
  nodes.reserve(array().size());
  for (const json& value : array()) nodes.emplace_back(value, fmt::format("{}[{}]", place_, nodes.size()));
  return nodes;
}

const json::array_t& JsonNode::array() const {
  if (!value_.is_array()) wrong("a list");
  return value_.get_ref<const json::array_t&>();
}

const json::object_t& JsonNode::object() const {
  if (!value_.is_object()) wrong("an object");
  return value_.get_ref<const json::object_t&>();
}

void JsonNode::wrong(const std::string& expected) const {
  throw UsageError(fmt::format("{}: {}: expected {}", place_,
                               printable(value_.dump(-1, ' ', false, json::error_handler_t::replace)),
                               expected));
}

std::optional<std::int32_t> id_of(const json& value) {
  if (!value.is_number_unsigned() || value.get<std::uint64_t>() > static_cast<std::uint64_t>(largest_id))
    return {};
  return value.get<std::int32_t>();
}

}  // namespace hydrajob::tokenizer
