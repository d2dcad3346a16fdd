#include "config/axis.hpp"

#include <algorithm>
#include <charconv>
#include <cmath>
#include <cstddef>
#include <optional>
#include <system_error>

#include <fmt/format.h>

#include "base/nearest.hpp"

namespace hydrajob {
namespace {

constexpr std::size_t max_values = 1'000'000;

std::string_view trim(std::string_view text) {
  constexpr std::string_view blank = " \t\n";
  const std::size_t begin = text.find_first_not_of(blank);
  if (begin == std::string_view::npos) return {};
  return text.substr(begin, text.find_last_not_of(blank) - begin + 1);
}

std::vector<std::string_view> split(std::string_view text, char separator) {
  std::vector<std::string_view> parts;
  for (std::size_t begin = 0;;) {
    const std::size_t end = text.find(separator, begin);
    parts.push_back(trim(text.substr(begin, end - begin)));
    if (end == std::string_view::npos) return parts;
    begin = end + 1;
  }
}

template <class T>
std::optional<T> parse_number(std::string_view text) {
  T value{};
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), value);
  if (error != std::errc() || end != text.data() + text.size() || text.empty()) return std::nullopt;
  return value;
}

struct Range {
  std::int64_t start = 0;
  std::int64_t end = 0;
  std::int64_t step = 0;
  bool multiplies = false;
};

Range parse_range(std::string_view text, const Place& place) {
  const auto parts = split(text, ':');
  if (parts.size() != 3) {
    fail_at(place, fmt::format("range '{}': expected three parts, start:end:step or start:end:xK", text));
  }
  Range range;
  std::string_view step = parts[2];
  range.multiplies = step.starts_with('x');
  if (range.multiplies) step.remove_prefix(1);
  const auto number = [&](std::string_view part) {
    const auto value = parse_number<std::int64_t>(part);
    if (!value) fail_at(place, fmt::format("range '{}': '{}' is no whole number", text, part));
    return *value;
  };
  range.start = number(parts[0]);
  range.end = number(parts[1]);
  range.step = number(step);
  return range;
}

void check_range(const Range& range, std::string_view text, const Place& place) {
  if (!range.multiplies && range.step == 0) {
    fail_at(place, fmt::format("range '{}': a step of 0 never ends", text));
  }
  if (range.multiplies && range.step < 2) {
    fail_at(place, fmt::format("range '{}': x{} never ends: expected x2 or more", text, range.step));
  }
  if (range.multiplies && range.start < 1) {
    fail_at(place, fmt::format("range '{}': multiplying from {} never ends: expected a start of 1 or more",
                               text, range.start));
  }
}

[[noreturn]] void fail_value(const ParameterInfo& info, std::string_view text, const Place& place) {
  std::string message = fmt::format("{}: '{}': expected {}", info.name, text, expected_value(info));
  const auto near = nearest(text, info.choices);
  if (near) message += fmt::format(": did you mean '{}'?", *near);
  fail_at(place, message);
}

bool in_range(const ParameterInfo& info, double value) {
  if (!std::isfinite(value) || value > info.maximum) return false;
  return info.above_minimum ? value > info.minimum : value >= info.minimum;
}

std::vector<Value> parse_integer_range(const ParameterInfo& info, std::string_view text, const Place& place) {
  std::vector<Value> values;
  for (const std::int64_t value : expand_range(text, place)) {
    if (!in_range(info, static_cast<double>(value))) fail_value(info, fmt::format("{}", value), place);
    values.emplace_back(value);
  }
  return values;
}

void check_distinct(const Axis& axis) {
  std::vector<Value> sorted = axis.values;
  std::sort(sorted.begin(), sorted.end());
  const auto twice = std::adjacent_find(sorted.begin(), sorted.end());
  if (twice != sorted.end()) {
    fail_at(axis.place, fmt::format("{}: {} is given twice", axis.parameter, to_string(*twice)));
  }
}

}  // namespace

std::vector<std::int64_t> expand_range(std::string_view text, const Place& place) {
  const Range range = parse_range(text, place);
  check_range(range, text, place);
  std::vector<std::int64_t> values;
  const auto inside = [&](std::int64_t value) {
    return range.step > 0 ? value < range.end : value > range.end;
  };
  for (std::int64_t value = range.start; inside(value);) {
    if (values.size() == max_values) {
      fail_at(place, fmt::format("range '{}': more than {} values", text, max_values));
    }
    values.push_back(value);
    const bool past = range.multiplies ? __builtin_mul_overflow(value, range.step, &value)
                                       : __builtin_add_overflow(value, range.step, &value);
    if (past) break;
  }
  return values;
}

Value parse_value(const ParameterInfo& info, std::string_view text, const Place& place) {
  switch (info.type) {
    case ParameterType::integer: {
      const auto value = parse_number<std::int64_t>(text);
      if (!value || !in_range(info, static_cast<double>(*value))) fail_value(info, text, place);
      return *value;
    }
    case ParameterType::real: {
      const auto value = parse_number<double>(text);
      if (!value || !in_range(info, *value)) fail_value(info, text, place);
      return *value;
    }
    case ParameterType::choice:
      if (std::find(info.choices.begin(), info.choices.end(), text) == info.choices.end()) {
        fail_value(info, text, place);
      }
      return std::string(text);
    case ParameterType::text:
      break;
  }
  if (text.empty()) fail_value(info, text, place);
  return std::string(text);
}

std::vector<Value> parse_values(const ParameterInfo& info, std::string_view text, const Place& place) {
  const bool splits = info.type != ParameterType::text;
  const bool list = splits && text.find(',') != std::string_view::npos;
  const bool range = info.type == ParameterType::integer && text.find(':') != std::string_view::npos;
  if (list && range) {
    fail_at(place, fmt::format("{}: '{}': ranges and commas cannot be mixed", info.name, text));
  }
  if (range) return parse_integer_range(info, text, place);
  if (!list) return {parse_value(info, trim(text), place)};
  std::vector<Value> values;
  for (const auto part : split(text, ',')) values.push_back(parse_value(info, part, place));
  return values;
}

Axis parse_column(const ParameterInfo& info, const Node& node) {
  Axis axis{std::string(info.name), {}, node.place};
  if (node.is_scalar()) {
    axis.values = parse_values(info, node.scalar, node.place);
  } else if (node.is_sequence()) {
    for (const Node& item : node.items) {
      if (!item.is_scalar()) {
        fail_at(item.place,
                fmt::format("{}: {}: expected {}", info.name, describe(item), expected_value(info)));
      }
      axis.values.push_back(parse_value(info, item.scalar, item.place));
    }
  } else {
    fail_at(node.place, fmt::format("{}: {}: expected {}, a list or a range", info.name, describe(node),
                                    expected_value(info)));
  }
  if (axis.values.empty()) {
    fail_at(node.place,
            fmt::format("{}: {}: no values (the end of a range is excluded)", info.name, describe(node)));
  }
  if (!info.axis && axis.values.size() > 1) {
    fail_at(node.place, fmt::format("{}: one value a block: use `blocks` for several", info.name));
  }
  return axis;
}

Axis parse_axis(const ParameterInfo& info, const Node& node) {
  Axis axis = parse_column(info, node);
  check_distinct(axis);
  return axis;
}

}  // namespace hydrajob
