// `hydrajob make-model ARCHITECTURE.yaml -o MODEL.h5`: a model file of seeded random weights, or of the
// recall model.
#pragma once

#include <string>
#include <vector>

#include "base/exit_code.hpp"

namespace hydrajob {

// Throws UsageError.
ExitCode run_make_model(const std::vector<std::string>& arguments);

}  // namespace hydrajob
