// Where something stands in a configuration, and the errors that say so.
#pragma once

#include <string>
#include <string_view>
#include <vector>

namespace hydrajob {

// "configs/e2e-7b.yaml:12:7" (line and column from 1), or "--set batch" for the command line.
struct Place {
  std::string text;
};

// Throws UsageError "<place>: <message>".
[[noreturn]] void fail_at(const Place& place, const std::string& message);

// "unknown key 'bacth': did you mean 'batch'?"; without a near one, the known ones are listed when they are
// few.
std::string unknown_name(std::string_view what, std::string_view wrong,
                         const std::vector<std::string>& known);

}  // namespace hydrajob
