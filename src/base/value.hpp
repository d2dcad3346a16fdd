// A parameter's value as the configuration, the plan and the store carry it.
#pragma once

#include <cstdint>
#include <map>
#include <string>
#include <variant>

namespace hydrajob {

using Value = std::variant<std::int64_t, double, std::string>;

// Shortest text that reads back as the same value: "1024", "0.7", "hydragen".
std::string to_string(const Value& value);

// Ordered by name, so that its text, and the digest of its text, are canonical.
using Parameters = std::map<std::string, Value>;

// "batch=32 mode=hydragen prefix=1024": one line, in the order of names.
std::string to_string(const Parameters& parameters);

}  // namespace hydrajob
