// `hydrajob CONFIG.yaml [options]`: an experiment, alone or under mpirun or srun.
#pragma once

#include <string>
#include <vector>

#include "base/exit_code.hpp"
#include "sched/group.hpp"
#include "workload/workload.hpp"

namespace hydrajob {

// Prints its own errors, once; every rank returns the same code. Throws UsageError when MPI cannot be
// started.
// `factory`: what makes the workloads; tests of the scheduler have their own.
ExitCode run_experiment(const std::vector<std::string>& arguments,
                        const WorkloadFactory& factory = make_workload);

}  // namespace hydrajob
