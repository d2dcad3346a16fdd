#include "weights/json_fields.hpp"

#include <algorithm>
#include <cmath>

#include <fmt/format.h>

#include "base/error.hpp"
#include "base/printable.hpp"

namespace hydrajob::weights {
namespace {

using nlohmann::json;

bool is_whole(const json& value, std::int64_t least) {
  if (!value.is_number_integer()) return false;
  if (value.is_number_unsigned() &&
      value.get<std::uint64_t>() > static_cast<std::uint64_t>(JsonFields::largest)) {
    return false;
  }
  return value.get<std::int64_t>() >= least;
}

}  // namespace

const json* JsonFields::find(const char* key) const {
  const auto found = object_.find(key);
  return found == object_.end() || found->is_null() ? nullptr : &*found;
}

std::int64_t JsonFields::integer(const char* key, std::optional<std::int64_t> fallback,
                                 std::int64_t least) const {
  const json* value = find(key);
  if (value == nullptr) return fallback ? *fallback : missing(key);
  if (!is_whole(*value, least)) wrong(key, fmt::format("a whole number from {} to {}", least, largest));
  return value->get<std::int64_t>();
}

double JsonFields::positive(const char* key, std::optional<double> fallback) const {
  const json* value = find(key);
  if (value == nullptr) return fallback ? *fallback : static_cast<double>(missing(key));
  if (!value->is_number() || !(value->get<double>() > 0) || !std::isfinite(value->get<double>())) {
    wrong(key, "a number above 0");
  }
  return value->get<double>();
}

std::string JsonFields::text(const char* key, const std::string& fallback) const {
  const json* value = find(key);
  if (value == nullptr) return fallback;
  if (!value->is_string()) wrong(key, "text");
  return value->get<std::string>();
}

bool JsonFields::boolean(const char* key, bool fallback) const {
  const json* value = find(key);
  if (value == nullptr) return fallback;
  if (!value->is_boolean()) wrong(key, "true or false");
  return value->get<bool>();
}

std::vector<std::int32_t> JsonFields::token_ids(const char* key) const {
  const json* value = find(key);
  if (value == nullptr) return {};
  if (!value->is_array()) return {static_cast<std::int32_t>(integer(key, {}, 0))};
  const auto is_id = [](const json& id) { return is_whole(id, 0); };
  if (value->empty() || !std::all_of(value->begin(), value->end(), is_id)) {
    wrong(key, "a token id, or a list of them");
  }
  return value->get<std::vector<std::int32_t>>();
}

void JsonFields::wrong(const char* key, const std::string& expected) const {
  throw UsageError(fmt::format("{}: {}{}: {}: expected {}", path_, prefix_, key,
                               printable(object_.at(key).dump()), expected));
}

std::int64_t JsonFields::missing(const char* key) const {
  throw UsageError(fmt::format("{}: '{}{}' is missing", path_, prefix_, key));
}

}  // namespace hydrajob::weights
