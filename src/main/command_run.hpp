// `hydrajob CONFIG.yaml [options]`: an experiment, alone or under mpirun or srun.
#pragma once

#include <functional>
#include <string>
#include <vector>

#include "base/exit_code.hpp"
#include "comm/communicator.hpp"
#include "sched/group.hpp"
#include "workload/workload.hpp"

namespace hydrajob {

// Does the job on this rank. An error that all ranks share (AgreedError) is printed once, and its code
// returned by all. Any other is this rank's alone, while the others may wait for it: it ends the whole job
// with its code, 1 for what is no Error.
ExitCode run_or_explain(Communicator& world, const std::function<ExitCode()>& job);

// The job on all ranks that mpirun or srun started, else on this process alone, as run_or_explain() does it.
// Throws UsageError when MPI cannot be started.
ExitCode run_on_ranks(const std::function<ExitCode(Communicator& world)>& job);

// Prints its own errors, once; every rank returns the same code. Throws UsageError when MPI cannot be
// started.
// `factory`: what makes the workloads; tests of the scheduler have their own.
ExitCode run_experiment(const std::vector<std::string>& arguments,
                        const WorkloadFactory& factory = make_workload);

}  // namespace hydrajob
