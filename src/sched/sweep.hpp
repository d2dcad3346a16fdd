// A sweep: an experiment's runs, planned, done by groups of ranks, and kept in a store.
#pragma once

#include <cstdint>
#include <filesystem>
#include <optional>
#include <string>
#include <vector>

#include "base/exit_code.hpp"
#include "comm/communicator.hpp"
#include "config/experiment.hpp"
#include "config/machine_description.hpp"
#include "grid/plan.hpp"
#include "sched/group.hpp"
#include "workload/workload.hpp"

namespace hydrajob {

struct SweepOptions {
  std::filesystem::path store;       // empty: the experiment's
  std::vector<std::string> only;     // of the plan: runs that match any
  std::vector<std::string> exclude;  // runs that match none
  int threads = 0;                   // CPU threads of a rank; 0: its share of the node
  bool rerun_failed = false;
  bool share_gpus = false;     // ranks may be on one GPU
  std::int64_t max_fails = 0;  // stop when so many runs failed; 0: never
  double time_limit_s = 0;     // of the job, from its start; 0: none but Slurm's own
  // Where loading or an iteration takes longer, a run is taken to hang: the job ends. 0: never; none: half an
  // hour, for runs on GPUs alone.
  std::optional<double> hang_limit_s;
  std::string command_line;  // for provenance
};

// What the plan depends on beside the experiment: without the machine (nothing is too large then, nothing
// predicted), with it, and with one that is only described. `ranks` 0: not known.
PlanRequest plan_request(const SweepOptions& options, int ranks);
PlanRequest plan_request(const SweepOptions& options, int ranks, const Machine& machine,
                         const CeilingsByDevice& ceilings);
PlanRequest plan_request(const SweepOptions& options, int ranks, const MachineDescription& machine);

// Does what is missing in the store. Every rank returns the same code: ok, runs_failed, store, interrupted.
// Throws AgreedError on all ranks for what is wrong before the first run. Collective.
ExitCode run_sweep(const Experiment& experiment, const SweepOptions& options, Communicator& world,
                   const WorkloadFactory& factory = make_workload);

}  // namespace hydrajob
