// What the launcher (mpirun, srun) told this process in its environment, before MPI is started.
#pragma once

#include <optional>
#include <string>

#include "base/exit_code.hpp"

namespace hydrajob {

// Set by `hydrajob supervise` for the command that it starts. The name begins as it does because mpirun gives
// variables that begin with OMPI_, and no others, to ranks on other nodes.
constexpr const char* supervised_variable = "OMPI_HYDRAJOB_SUPERVISED";

// What a job ends with that cannot go on although there is time left: start_again under a supervisor, else
// interrupted. A supervisor so tells it from a job whose time is over, which has to be queued again.
ExitCode lost_job_code();

// This process's rank as the launcher numbers it; 0 when there is none.
int launcher_rank();

// Ranks on this node, where the launcher says so: Open MPI's mpirun, MPICH's, Slurm's "4(x2),1" in one step.
std::optional<int> launcher_local_size();

// Tasks of this Slurm step, when srun started this process directly (not a daemon of mpirun).
std::optional<int> slurm_step_tasks();

// Slurm's list of tasks per node ("2(x3),1") at a node's index in it; nothing when it cannot be read.
std::optional<int> tasks_on_node(const std::string& tasks_per_node, int node);

// Sets Open MPI's mpi_yield_when_idle when this node has more ranks than cores that they may run on, unless
// the environment already decides it. Waiting ranks spin otherwise: an 8-byte all-reduce of 4 ranks on 2
// cores then takes 8 ms instead of 7 us. Call before MPI starts.
void yield_when_oversubscribed();

// Has NCCL leave NVLink multicast alone, unless the environment already decides it: a job that ends badly
// with it can leave GPUs that others share unusable. Call before there are threads.
void avoid_multicast();

}  // namespace hydrajob
