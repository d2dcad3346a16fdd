// ${VAR} and ${VAR:-default} in a configuration's scalars, as a POSIX shell expands them.
#pragma once

#include <string>
#include <string_view>

#include "config/place.hpp"

namespace hydrajob {

// Values come from the environment; the default is taken where the variable is unset or empty, and may hold
// variables itself. "$${" is a literal "${". Throws UsageError at `place` for a variable that is unset and
// has no default.
std::string expand_variables(std::string_view text, const Place& place);

// Text that expand_variables() turns back into this one.
std::string protect_variables(std::string text);

}  // namespace hydrajob
