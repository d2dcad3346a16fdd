// `hydrajob import DIR -o MODEL.h5`: a model file of a model as Hugging Face publishes it.
#pragma once

#include <string>
#include <vector>

#include "base/exit_code.hpp"

namespace hydrajob {

// Throws UsageError.
ExitCode run_import(const std::vector<std::string>& arguments);

}  // namespace hydrajob
