#include "config/condition.hpp"

#include <algorithm>
#include <array>
#include <cstddef>
#include <string_view>
#include <utility>

#include <fmt/format.h>

#include "base/error.hpp"
#include "config/axis.hpp"

namespace hydrajob {
namespace {

using Kind = Condition::Kind;

constexpr std::array<std::pair<std::string_view, Kind>, 6> operators{{{">=", Kind::greater_equal},
                                                                      {"<=", Kind::less_equal},
                                                                      {"!=", Kind::not_equal},
                                                                      {">", Kind::greater},
                                                                      {"<", Kind::less},
                                                                      {"=", Kind::any_of}}};

constexpr std::string_view signs = "<>=!";

// The operator that `text` begins with. All its signs belong to it: "=>" is not "=" and a value ">".
Kind operator_of(std::string_view text, const Place& place) {
  const std::string_view all = text.substr(0, text.find_first_not_of(signs));
  const auto at =
      std::find_if(operators.begin(), operators.end(), [&](const auto& o) { return o.first == all; });
  if (at == operators.end())
    fail_at(place, fmt::format("'{}' is no comparison: expected one of =, !=, <, <=, >, >=", all));
  return at->second;
}

bool is_order(Kind kind) {
  return kind != Kind::any_of && kind != Kind::not_equal;
}

std::string_view symbol(Kind kind) {
  const auto at =
      std::find_if(operators.begin(), operators.end(), [&](const auto& o) { return o.second == kind; });
  return at->first;
}

std::string_view trim_front(std::string_view text) {
  return text.substr(std::min(text.find_first_not_of(' '), text.size()));
}

const ParameterInfo& known_parameter(const std::string& name, const Place& place) {
  const ParameterInfo* info = find_parameter(name);
  if (info == nullptr) fail_at(place, unknown_name("parameter", name, parameter_names()));
  return *info;
}

// What a condition compares with need not be a value that a run may have: "batch > 0".
ParameterInfo without_bounds(const ParameterInfo& info) {
  ParameterInfo free = info;
  free.minimum = -std::numeric_limits<double>::infinity();
  free.maximum = std::numeric_limits<double>::infinity();
  free.above_minimum = false;
  return free;
}

// text: what follows the operator; values separated by '|'.
Condition make_condition(const ParameterInfo& info, Kind kind, std::string_view text, const Place& place) {
  Condition condition{std::string(info.name), kind, {}, place};
  const bool number = info.type == ParameterType::integer || info.type == ParameterType::real;
  if (is_order(kind) && !number) {
    fail_at(place, fmt::format("{} has no order: expected = or !=, not {}", info.name, symbol(kind)));
  }
  const ParameterInfo free = without_bounds(info);
  for (std::size_t begin = 0; begin <= text.size();) {
    const std::size_t end = std::min(text.find('|', begin), text.size());
    const std::string_view part = text.substr(begin, end - begin);
    for (Value& value : parse_values(free, part, place)) condition.values.push_back(std::move(value));
    begin = end + 1;
  }
  if (condition.values.empty()) fail_at(place, fmt::format("{}: '{}': no values", info.name, text));
  if (is_order(kind) && condition.values.size() != 1) {
    fail_at(place, fmt::format("{} {} '{}': expected one value", info.name, symbol(kind), text));
  }
  return condition;
}

Condition read_condition(const ParameterInfo& info, const Node& node) {
  if (!node.is_scalar()) {
    const ParameterInfo free = without_bounds(info);
    return {std::string(info.name), Kind::any_of, parse_axis(free, node).values, node.place};
  }
  const std::string_view text = trim_front(node.scalar);
  if (text.find_first_of(signs) != 0) return make_condition(info, Kind::any_of, text, node.place);
  const Kind kind = operator_of(text, node.place);
  return make_condition(info, kind, trim_front(text.substr(symbol(kind).size())), node.place);
}

// part: "batch>=64".
Condition parse_condition(std::string_view part, const Place& place) {
  const std::size_t at = part.find_first_of(signs);
  std::string name(trim_front(part.substr(0, at)));
  name.resize(name.find_last_not_of(' ') + 1);
  if (at == std::string_view::npos || name.empty())
    fail_at(place, fmt::format("'{}': expected a condition such as mode=hydragen or batch>=64", part));
  const ParameterInfo& info = known_parameter(name, place);
  const std::string_view from_sign = part.substr(at);
  const Kind kind = operator_of(from_sign, place);
  return make_condition(info, kind, trim_front(from_sign.substr(symbol(kind).size())), place);
}

template <class T>
bool ordered(Kind kind, const T& value, const T& limit) {
  switch (kind) {
    case Kind::less:
      return value < limit;
    case Kind::less_equal:
      return value <= limit;
    case Kind::greater:
      return value > limit;
    default:
      return value >= limit;
  }
}

}  // namespace

Conditions read_conditions(const Node& map) {
  if (!map.is_map() || map.entries.empty()) {
    fail_at(map.place,
            fmt::format("{}: expected a map of conditions, such as {{mode: paged}}", describe(map)));
  }
  Conditions conditions;
  for (const auto& entry : map.entries) {
    conditions.push_back(read_condition(known_parameter(entry.key, entry.place), entry.value));
  }
  return conditions;
}

Conditions parse_conditions(const std::string& text, const std::string& option) {
  const Place place{fmt::format("{} '{}'", option, text)};
  Conditions conditions;
  for (std::size_t begin = 0; begin <= text.size();) {
    const std::size_t end = std::min(text.find(',', begin), text.size());
    conditions.push_back(parse_condition(std::string_view(text).substr(begin, end - begin), place));
    begin = end + 1;
  }
  return conditions;
}

bool holds(const Condition& condition, const Value& value) {
  const auto same = [&](const Value& v) { return v == value; };
  if (condition.kind == Kind::any_of)
    return std::any_of(condition.values.begin(), condition.values.end(), same);
  if (condition.kind == Kind::not_equal)
    return std::none_of(condition.values.begin(), condition.values.end(), same);
  return ordered(condition.kind, value, condition.values.front());
}

bool holds(const Conditions& conditions, const Parameters& parameters) {
  return std::all_of(conditions.begin(), conditions.end(), [&](const Condition& condition) {
    const auto at = parameters.find(condition.parameter);
    return at != parameters.end() && holds(condition, at->second);
  });
}

std::string value_text(const Condition& condition) {
  std::string values;
  for (const Value& value : condition.values) {
    if (!values.empty()) values += '|';
    values += to_string(value);
  }
  return std::string(symbol(condition.kind)) + " " + values;
}

}  // namespace hydrajob
