// `hydrajob generate MODEL.h5 --prompt … | --input FILE.jsonl`: completions of prompts.
#pragma once

#include <string>
#include <vector>

#include "base/exit_code.hpp"

namespace hydrajob {

// Alone, or under mpirun or srun: then all ranks share the model. Prints its own errors, once; every rank
// returns the same code. Throws UsageError where MPI cannot be started, or the arguments cannot be read.
ExitCode run_generate(const std::vector<std::string>& arguments);

}  // namespace hydrajob
