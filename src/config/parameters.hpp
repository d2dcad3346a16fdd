// The one table of all parameters of a run: what a configuration may say, what is checked, what the
// documentation prints. Everything that knows parameters by name reads it.
#pragma once

#include <cstddef>
#include <limits>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "base/value.hpp"

namespace hydrajob {

enum class ParameterType {
  integer,  // Value holds std::int64_t
  real,     // double, also where written as a whole number
  choice,   // std::string, one of `choices`
  text,     // std::string, free
};

// Sets of workloads, as bits.
namespace workloads {
inline constexpr unsigned generate = 1;
inline constexpr unsigned attention = 2;
inline constexpr unsigned needles = 4;
inline constexpr unsigned all = generate | attention | needles;
inline constexpr unsigned of_models = generate | needles;
inline constexpr unsigned of_batches = generate | attention;
}  // namespace workloads

struct ParameterInfo {
  std::string_view name = {};
  ParameterType type = ParameterType::integer;
  unsigned applies_to = workloads::all;  // that take it
  std::string_view unit = {};            // empty: none
  std::string_view doc = {};             // one line
  // integer and real: minimum <= value <= maximum
  double minimum = 0;
  double maximum = std::numeric_limits<double>::infinity();
  bool above_minimum = false;  // the minimum itself is not allowed
  std::vector<std::string> choices = {};
  std::optional<Value> fallback = {};  // the value where none is given
  std::string_view without = {};       // no fallback: what happens then
  bool axis = true;                    // false: one value a block
};

// In the order of docs/configuration.md. Indices into it are stable during a process.
const std::vector<ParameterInfo>& parameter_table();

// Null when there is none of that name.
const ParameterInfo* find_parameter(std::string_view name);
std::size_t parameter_index(const ParameterInfo& info);

std::vector<std::string> parameter_names();

bool applies_to(const ParameterInfo& info, std::string_view workload);

// Two ways to say the same, of which a run has one: prefix and tree. Empty for all others.
std::string_view rival_of(std::string_view parameter);

// "a whole number, from 1 to 65536", "one of hydragen, noshared, paged".
std::string expected_value(const ParameterInfo& info);

// The table as docs/configuration.md holds it.
std::string parameter_table_markdown();

}  // namespace hydrajob
