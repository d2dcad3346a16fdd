// `[mpirun -np N] hydrajob bench-load MODEL.h5`: how fast N ranks load a model, against reading alone and
// against the bus.
#pragma once

#include <string>
#include <vector>

#include "base/exit_code.hpp"

namespace hydrajob {

// Throws UsageError.
ExitCode run_bench_load(const std::vector<std::string>& arguments);

}  // namespace hydrajob
