// The points of a block: the product of its axes and zips, with its rules and excludes applied.
#pragma once

#include <functional>
#include <string_view>
#include <vector>

#include "config/experiment.hpp"

namespace hydrajob {

// A value for every parameter that a run of the block has, by index of the parameter table; null where it has
// none.
class Point {
 public:
  explicit Point(const Block& block);  // the table's defaults

  const Value* find(std::string_view parameter) const;
  void set(const Axis& axis, const Value& value);
  // Where the value was given; the block's place for a default.
  const Place& place_of(std::string_view parameter) const;
  bool holds(const Conditions& conditions) const;

 private:
  struct Slot {
    const Value* value = nullptr;
    const Axis* axis = nullptr;
  };
  const Block& block_;
  std::vector<Slot> slots_;
};

// Calls `visit` for each point in order: axes as written, first outermost, zips inside them. A rule that
// holds replaces its parameters' own values, which are not multiplied out then. The point is valid during the
// call.
void for_each_point(const Block& block, const std::function<void(const Point&)>& visit);

}  // namespace hydrajob
