// `hydrajob CONFIG.yaml [options]`: an experiment, alone or under mpirun or srun.
#pragma once

#include <string>
#include <vector>

#include "base/exit_code.hpp"

namespace hydrajob {

// Prints its own errors, once; every rank returns the same code. Throws UsageError when MPI cannot be
// started.
ExitCode run_experiment(const std::vector<std::string>& arguments);

}  // namespace hydrajob
