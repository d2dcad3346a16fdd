#include "config/blocks.hpp"

#include <algorithm>
#include <cstddef>
#include <functional>
#include <map>
#include <string_view>
#include <utility>

#include <fmt/format.h>

namespace hydrajob {
namespace {

void check_key(const Node::Entry& entry, const std::vector<std::string>& others) {
  const bool known = find_parameter(entry.key) != nullptr ||
                     std::find(others.begin(), others.end(), entry.key) != others.end();
  if (known) return;
  auto all = parameter_names();
  all.insert(all.end(), others.begin(), others.end());
  fail_at(entry.place, unknown_name("key", entry.key, all));
}

// A map, or a list of maps, as `zip`, `exclude` and `when` are written.
std::vector<const Node*> maps_of(const Node& node, std::string_view key) {
  std::vector<const Node*> maps;
  if (node.is_map()) return {&node};
  for (const Node& item : node.items) {
    if (!item.is_map()) fail_at(item.place, fmt::format("{}: {}: expected a map", key, describe(item)));
    maps.push_back(&item);
  }
  if (maps.empty())
    fail_at(node.place, fmt::format("{}: {}: expected a map or a list of maps", key, describe(node)));
  return maps;
}

using AxisParser = Axis (*)(const ParameterInfo& info, const Node& node);

std::vector<Axis> read_axes(const Node& map, std::string_view where, AxisParser parse) {
  std::vector<Axis> axes;
  for (const auto& entry : map.entries) {
    const ParameterInfo* info = find_parameter(entry.key);
    if (info == nullptr) fail_at(entry.place, unknown_name("parameter", entry.key, parameter_names()));
    if (!info->axis) fail_at(entry.place, fmt::format("{} cannot stand in {}", entry.key, where));
    axes.push_back(parse(*info, entry.value));
  }
  if (axes.empty()) fail_at(map.place, fmt::format("{}: {}: expected parameters", where, describe(map)));
  return axes;
}

void check_points_distinct(const Zip& zip, const Place& place) {
  std::map<std::vector<Value>, std::size_t> seen;
  for (std::size_t i = 0; i < zip.front().values.size(); ++i) {
    std::vector<Value> point;
    for (const Axis& axis : zip) point.push_back(axis.values[i]);
    const auto [before, is_new] = seen.emplace(point, i);
    if (!is_new) fail_at(place, fmt::format("zip: points {} and {} are the same", before->second + 1, i + 1));
  }
}

Zip read_zip(const Node& map) {
  Zip zip = read_axes(map, "zip", parse_column);
  for (const Axis& axis : zip) {
    if (axis.values.size() == zip.front().values.size()) continue;
    fail_at(axis.place,
            fmt::format("zip: {} has {} values, {} has {}: expected equal numbers", axis.parameter,
                        axis.values.size(), zip.front().parameter, zip.front().values.size()));
  }
  check_points_distinct(zip, map.place);
  return zip;
}

When read_when(const Node& map) {
  const std::vector<std::string> known{"if", "set"};
  for (const auto& entry : map.entries) {
    if (std::find(known.begin(), known.end(), entry.key) == known.end()) {
      fail_at(entry.place, unknown_name("key", entry.key, known));
    }
  }
  const Node* condition = map.find("if");
  const Node* set = map.find("set");
  if (condition == nullptr || set == nullptr) fail_at(map.place, "when: expected {if: …, set: …}");
  return {read_conditions(*condition), read_axes(*set, "set", parse_axis), map.place};
}

void check_no_rivals(const std::vector<Axis>& axes) {
  for (const Axis& axis : axes) {
    const auto is_rival = [&](const Axis& other) { return other.parameter == rival_of(axis.parameter); };
    const auto rival = std::find_if(axes.begin(), axes.end(), is_rival);
    if (rival == axes.end()) continue;
    fail_at(rival->place, fmt::format("{} and {}: give one of them", axis.parameter, rival->parameter));
  }
}

// All axes of a layer, those of zips too: each parameter once.
std::vector<Axis> all_axes(const Block& block) {
  std::vector<Axis> axes = block.axes;
  for (const Zip& zip : block.zips) axes.insert(axes.end(), zip.begin(), zip.end());
  return axes;
}

void check_given_once(const Block& block) {
  const std::vector<Axis> axes = all_axes(block);
  for (std::size_t i = 0; i < axes.size(); ++i) {
    for (std::size_t j = 0; j < i; ++j) {
      if (axes[i].parameter != axes[j].parameter) continue;
      fail_at(axes[i].place,
              fmt::format("'{}' is given twice: first at {}", axes[i].parameter, axes[j].place.text));
    }
  }
  check_no_rivals(axes);
}

bool names(const std::vector<Axis>& axes, std::string_view parameter) {
  return std::any_of(axes.begin(), axes.end(), [&](const Axis& axis) { return axis.parameter == parameter; });
}

void erase_axes(Block& block, const std::function<bool(const Axis&)>& goes) {
  std::erase_if(block.axes, goes);
  for (Zip& zip : block.zips) std::erase_if(zip, goes);
  std::erase_if(block.zips, [](const Zip& zip) { return zip.empty(); });
}

enum class Strict { no, yes };

// Whether the workload takes the parameter; where it does not and the layer is strict, an error.
bool takes(const std::string& workload, const std::string& parameter, const Place& place, Strict strict) {
  if (applies_to(*find_parameter(parameter), workload)) return true;
  if (strict == Strict::no) return false;
  fail_at(place, fmt::format("{} has no meaning for workload {}", parameter, workload));
}

// The layer without what the workload does not take.
Block restricted(Block layer, const std::string& workload, Strict strict) {
  const auto foreign_axis = [&](const Axis& axis) {
    return !takes(workload, axis.parameter, axis.place, strict);
  };
  const auto foreign = [&](const Conditions& conditions) {
    return std::any_of(conditions.begin(), conditions.end(),
                       [&](const Condition& c) { return !takes(workload, c.parameter, c.place, strict); });
  };
  erase_axes(layer, foreign_axis);
  // A condition on a parameter that a run does not have never holds.
  std::erase_if(layer.excludes, foreign);
  for (When& when : layer.whens) std::erase_if(when.axes, foreign_axis);
  std::erase_if(layer.whens, [&](const When& when) { return foreign(when.conditions) || when.axes.empty(); });
  return layer;
}

const Axis* find_axis(const Block& block, std::string_view parameter) {
  const auto is_it = [&](const Axis& axis) { return axis.parameter == parameter; };
  const auto at = std::find_if(block.axes.begin(), block.axes.end(), is_it);
  return at == block.axes.end() ? nullptr : &*at;
}

std::string workload_of(const Block& defaults, const Block& own) {
  const Axis* axis = find_axis(own, "workload");
  if (axis == nullptr) axis = find_axis(defaults, "workload");
  const Value value = axis == nullptr ? *find_parameter("workload")->fallback : axis->values.front();
  return std::get<std::string>(value);
}

void check_rules(const std::vector<When>& whens) {
  for (std::size_t i = 0; i < whens.size(); ++i) {
    check_no_rivals(whens[i].axes);
    for (std::size_t j = 0; j <= i; ++j) {
      for (const Condition& read : whens[j].conditions) {
        if (!names(whens[i].axes, read.parameter)) continue;
        fail_at(whens[i].place,
                fmt::format("when: sets {}, which the condition at {} reads: write this rule before it",
                            read.parameter, read.place.text));
      }
    }
  }
}

}  // namespace

Block read_block(const Node& map, const std::vector<std::string>& others) {
  Block block;
  block.place = map.place;
  std::vector<std::string> keys = others;
  keys.insert(keys.end(), {"zip", "exclude", "when"});
  for (const auto& entry : map.entries) {
    check_key(entry, keys);
    if (const ParameterInfo* info = find_parameter(entry.key))
      block.axes.push_back(parse_axis(*info, entry.value));
  }
  if (const Node* zips = map.find("zip")) {
    for (const Node* zip : maps_of(*zips, "zip")) block.zips.push_back(read_zip(*zip));
  }
  if (const Node* excludes = map.find("exclude")) {
    for (const Node* exclude : maps_of(*excludes, "exclude"))
      block.excludes.push_back(read_conditions(*exclude));
  }
  if (const Node* whens = map.find("when")) {
    for (const Node* when : maps_of(*whens, "when")) block.whens.push_back(read_when(*when));
  }
  check_given_once(block);
  return block;
}

Block merge(const Block& defaults, const Block& own) {
  const std::string workload = workload_of(defaults, own);
  Block merged = restricted(defaults, workload, Strict::no);
  const Block block = restricted(own, workload, Strict::yes);
  const std::vector<Axis> given = all_axes(block);
  erase_axes(merged, [&](const Axis& axis) {
    const std::string_view rival = rival_of(axis.parameter);
    return names(given, axis.parameter) || (!rival.empty() && names(given, rival));
  });
  merged.axes.insert(merged.axes.end(), block.axes.begin(), block.axes.end());
  merged.zips.insert(merged.zips.end(), block.zips.begin(), block.zips.end());
  merged.excludes.insert(merged.excludes.end(), block.excludes.begin(), block.excludes.end());
  merged.whens.insert(merged.whens.end(), block.whens.begin(), block.whens.end());
  erase_axes(merged, [](const Axis& axis) { return axis.parameter == "workload"; });
  merged.name = own.name;
  merged.place = own.place;
  merged.workload = workload;
  check_rules(merged.whens);
  return merged;
}

}  // namespace hydrajob
