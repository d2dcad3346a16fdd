// `hydrajob store {ls,show,export,verify,merge}`: looks at a store, and makes others of it.
#pragma once

#include <string>
#include <vector>

#include "base/exit_code.hpp"

namespace hydrajob {

// Throws UsageError and StoreError.
ExitCode run_store(const std::vector<std::string>& arguments);

}  // namespace hydrajob
