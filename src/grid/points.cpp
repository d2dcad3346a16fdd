#include "grid/points.hpp"

#include <algorithm>
#include <cstddef>

#include "config/parameters.hpp"

namespace hydrajob {
namespace {

std::size_t index_of(std::string_view parameter) {
  return parameter_index(*find_parameter(parameter));
}

// One factor of the product: an axis, or the axes of a zip.
struct Dimension {
  std::vector<const Axis*> axes;
  std::size_t size() const { return axes.front()->values.size(); }
};

std::vector<Dimension> dimensions_of(const Block& block) {
  std::vector<Dimension> dimensions;
  for (const Axis& axis : block.axes) dimensions.push_back({{&axis}});
  for (const Zip& zip : block.zips) {
    Dimension dimension;
    for (const Axis& axis : zip) dimension.axes.push_back(&axis);
    dimensions.push_back(std::move(dimension));
  }
  return dimensions;
}

class Walk {
 public:
  Walk(const Block& block, const std::function<void(const Point&)>& visit)
      : block_(block), visit_(visit), dimensions_(dimensions_of(block)), at_(dimensions_.size(), 0) {}

  void run() { product(0, Point(block_)); }

 private:
  void product(std::size_t depth, const Point& outer) {
    if (depth == dimensions_.size()) return rules(0, outer, {});
    Point point = outer;
    for (at_[depth] = 0; at_[depth] < dimensions_[depth].size(); ++at_[depth]) {
      for (const Axis* axis : dimensions_[depth].axes) point.set(*axis, axis->values[at_[depth]]);
      product(depth + 1, point);
    }
  }

  // replaced: the axes of the rules that hold so far.
  void rules(std::size_t first, const Point& point, const std::vector<const Axis*>& replaced) {
    std::size_t rule = first;
    while (rule < block_.whens.size() && !point.holds(block_.whens[rule].conditions)) ++rule;
    if (rule == block_.whens.size()) return finish(point, replaced);
    choose(rule, 0, point, replaced);
  }

  // The product of the axes of one rule.
  void choose(std::size_t rule, std::size_t axis_index, const Point& point,
              std::vector<const Axis*> replaced) {
    const When& when = block_.whens[rule];
    if (axis_index == when.axes.size()) return rules(rule + 1, point, replaced);
    const Axis& axis = when.axes[axis_index];
    replaced.push_back(&axis);
    for (const Value& value : axis.values) {
      Point chosen = point;
      chosen.set(axis, value);
      choose(rule, axis_index + 1, chosen, replaced);
    }
  }

  void finish(const Point& point, const std::vector<const Axis*>& replaced) {
    for (std::size_t d = 0; d < dimensions_.size(); ++d) {
      if (at_[d] > 0 && is_replaced(dimensions_[d], replaced)) return;
    }
    const auto excluded = [&](const Conditions& conditions) { return point.holds(conditions); };
    if (std::any_of(block_.excludes.begin(), block_.excludes.end(), excluded)) return;
    visit_(point);
  }

  // All parameters of the dimension have other values now: it must not be multiplied out.
  static bool is_replaced(const Dimension& dimension, const std::vector<const Axis*>& replaced) {
    return std::all_of(dimension.axes.begin(), dimension.axes.end(), [&](const Axis* own) {
      return std::any_of(replaced.begin(), replaced.end(), [&](const Axis* other) {
        return other->parameter == own->parameter || other->parameter == rival_of(own->parameter);
      });
    });
  }

  const Block& block_;
  const std::function<void(const Point&)>& visit_;
  std::vector<Dimension> dimensions_;
  std::vector<std::size_t> at_;
};

}  // namespace

Point::Point(const Block& block) : block_(block), slots_(parameter_table().size()) {
  for (const ParameterInfo& info : parameter_table()) {
    if (info.fallback && applies_to(info, block.workload))
      slots_[parameter_index(info)].value = &*info.fallback;
  }
  static const auto& names = find_parameter("workload")->choices;
  static const std::vector<Value> workloads(names.begin(), names.end());
  const auto own = std::find(workloads.begin(), workloads.end(), Value(block.workload));
  slots_[index_of("workload")].value = &*own;
}

const Value* Point::find(std::string_view parameter) const {
  return slots_[index_of(parameter)].value;
}

void Point::set(const Axis& axis, const Value& value) {
  slots_[index_of(axis.parameter)] = {&value, &axis};
  const std::string_view rival = rival_of(axis.parameter);
  if (!rival.empty()) slots_[index_of(rival)] = {};
}

const Place& Point::place_of(std::string_view parameter) const {
  const Axis* axis = slots_[index_of(parameter)].axis;
  return axis == nullptr ? block_.place : axis->place;
}

bool Point::holds(const Conditions& conditions) const {
  return std::all_of(conditions.begin(), conditions.end(), [&](const Condition& condition) {
    const Value* value = find(condition.parameter);
    return value != nullptr && hydrajob::holds(condition, *value);
  });
}

void for_each_point(const Block& block, const std::function<void(const Point&)>& visit) {
  Walk(block, visit).run();
}

}  // namespace hydrajob
