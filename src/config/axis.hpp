// The values of a parameter as written: one, a list, "a,b,c", or a range.
#pragma once

#include <cstdint>
#include <string_view>
#include <vector>

#include "base/value.hpp"
#include "config/document.hpp"
#include "config/parameters.hpp"

namespace hydrajob {

// One parameter with the values it takes, in order; a scalar is an axis of one value.
struct Axis {
  std::string parameter;
  std::vector<Value> values;  // never empty; no value twice but in a zip
  Place place;
};

// "start:end:step": start, start + step, … before end, as Python's range; "start:end:xK": start, start K,
// start K K, … while below end. END IS EXCLUDED in both (Hydragen's split_range, scripts of arXiv
// 2402.05099). Empty where nothing lies between. Throws UsageError for anything else, and where the original
// never ends: step 0, x0, x1, x from 0.
std::vector<std::int64_t> expand_range(std::string_view text, const Place& place);

// One value of the parameter's type and range. Throws UsageError: "a.yaml:3:8: batch: 'abc': expected a whole
// number, from 1 to 16777216".
Value parse_value(const ParameterInfo& info, std::string_view text, const Place& place);

// Values of a scalar: one value, "a,b,c" or (integers) a range; "a,b,c" not for free text, whose commas are
// its own.
std::vector<Value> parse_values(const ParameterInfo& info, std::string_view text, const Place& place);

// An axis of a scalar or a list of scalars, as it stands in a zip: values may repeat. Throws UsageError, also
// for an empty axis.
Axis parse_column(const ParameterInfo& info, const Node& node);

// The same on its own: a value given twice throws too.
Axis parse_axis(const ParameterInfo& info, const Node& node);

}  // namespace hydrajob
