// Conditions on a run's parameters: `exclude` and `if` in a configuration, --only and --exclude on the
// command line.
#pragma once

#include <string>
#include <vector>

#include "base/value.hpp"
#include "config/document.hpp"
#include "config/parameters.hpp"

namespace hydrajob {

// "batch: '>= 512'", "mode: [noshared, paged]", "prefix: 1024:8193:x2": holds when the parameter's value
// does.
struct Condition {
  enum class Kind { any_of, less, less_equal, greater, greater_equal, not_equal };
  std::string parameter;
  Kind kind = Kind::any_of;
  std::vector<Value> values;  // any_of: one of them; not_equal: none of them; else one value
  Place place;
};
using Conditions = std::vector<Condition>;  // all must hold

// Of a configuration's map, parameter by parameter. Throws UsageError.
Conditions read_conditions(const Node& map);

// "mode=hydragen|paged,batch>=64" for --only and --exclude; operators = != < <= > >=, any of several values
// with '|', ranges after = and !=. `option` names the place in messages. Throws UsageError.
Conditions parse_conditions(const std::string& text, const std::string& option = "condition");

bool holds(const Condition& condition, const Value& value);
// A condition on a parameter that is not there does not hold.
bool holds(const Conditions& conditions, const Parameters& parameters);

// As parse_conditions reads it and as a configuration writes the value: ">= 512", "[noshared, paged]".
std::string value_text(const Condition& condition);

}  // namespace hydrajob
