#include "config/fields.hpp"

#include <algorithm>
#include <charconv>
#include <cmath>
#include <limits>

#include <fmt/format.h>

namespace hydrajob {
namespace {

template <class T>
std::optional<T> parse_number(std::string_view text) {
  T value{};
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), value);
  if (error != std::errc() || end != text.data() + text.size() || text.empty()) return std::nullopt;
  return value;
}

}  // namespace

Fields::Fields(const Node& map, std::string_view what) : map_(map) {
  if (!map.is_map()) fail_at(map.place, fmt::format("{}: {}: expected a map", what, describe(map)));
}

const Node* Fields::take(const std::string& key) {
  known_.push_back(key);
  return map_.find(key);
}

std::string Fields::text(const std::string& key, const std::string& fallback) {
  const Node* node = take(key);
  if (node == nullptr) return fallback;
  if (!node->is_scalar() || node->scalar.empty()) wrong(key, *node, "text");
  return node->scalar;
}

std::string Fields::text(const std::string& key) {
  const std::string value = text(key, "");
  if (value.empty()) missing(key);
  return value;
}

std::int64_t Fields::integer(const std::string& key, std::int64_t minimum,
                             std::optional<std::int64_t> fallback) {
  const Node* node = take(key);
  if (node == nullptr) {
    if (!fallback) missing(key);
    return fallback.value_or(std::max<std::int64_t>(minimum, 1));
  }
  const auto value = parse_number<std::int64_t>(node->scalar);
  constexpr std::int64_t maximum = std::numeric_limits<std::int32_t>::max();
  if (!value || *value < minimum || *value > maximum)
    wrong(key, *node, fmt::format("a whole number, {} or more", minimum));
  return *value;
}

template <class Allowed>
double Fields::number(const std::string& key, std::optional<double> fallback, const char* expected,
                      const Allowed& allowed) {
  const Node* node = take(key);
  if (node == nullptr) {
    if (!fallback) missing(key);
    return fallback.value_or(1);
  }
  const auto value = parse_number<double>(node->scalar);
  if (!value || !std::isfinite(*value) || !allowed(*value)) wrong(key, *node, expected);
  return *value;
}

double Fields::positive(const std::string& key, std::optional<double> fallback) {
  return number(key, fallback, "a number above 0", [](double value) { return value > 0; });
}

double Fields::not_negative(const std::string& key, double fallback) {
  return number(key, fallback, "a number, 0 or more", [](double value) { return value >= 0; });
}

double Fields::fraction(const std::string& key, double fallback) {
  return number(key, fallback, "a number above 0 and at most 1",
                [](double value) { return value > 0 && value <= 1; });
}

bool Fields::boolean(const std::string& key, bool fallback) {
  const Node* node = take(key);
  if (node == nullptr) return fallback;
  if (node->scalar != "true" && node->scalar != "false") wrong(key, *node, "true or false");
  return node->scalar == "true";
}

void Fields::finish() const {
  for (const auto& entry : map_.entries) {
    if (std::find(known_.begin(), known_.end(), entry.key) == known_.end()) {
      fail_at(entry.place, unknown_name("key", entry.key, known_));
    }
  }
  if (!missing_.empty()) fail_at(map_.place, fmt::format("'{}' is missing", missing_));
}

Place Fields::place_of(std::string_view key) const {
  const Node* node = map_.find(key);
  return node == nullptr ? map_.place : node->place;
}

void Fields::wrong(const std::string& key, const Node& node, const std::string& expected) {
  fail_at(node.place, fmt::format("{}: {}: expected {}", key, describe(node), expected));
}

void Fields::missing(const std::string& key) {
  if (missing_.empty()) missing_ = key;
}

}  // namespace hydrajob
