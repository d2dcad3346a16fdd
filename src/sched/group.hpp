// The ranks of a group: they take orders from the dispatcher, do runs together, and their first rank commits
// each record.
#pragma once

#include <filesystem>
#include <functional>
#include <memory>
#include <optional>
#include <string>

#include "comm/communicator.hpp"
#include "grid/plan.hpp"
#include "sched/machine.hpp"
#include "sched/messages.hpp"
#include "sched/stop.hpp"
#include "workload/workload.hpp"

namespace hydrajob {

// The workload of a run; make_workload but for tests of the scheduler.
using WorkloadFactory = std::function<std::unique_ptr<Workload>(const PlannedRun&, const WorkloadContext&)>;

// What every run of a sweep has in common. All outlive the groups.
struct SweepContext {
  const Plan& plan;
  const Machine& machine;
  const CeilingsByDevice& ceilings;
  const WorkloadFactory& factory;
  StopWatch& watch;
  std::filesystem::path store;
  std::string config_text;                     // of each record
  std::string environment;                     // of each record
  std::optional<double> hang_limit_s;          // as SweepOptions has it
  std::function<void()> between_runs = [] {};  // on each rank, after each of its runs; does not throw
};

// Follows the dispatcher until it ends the sweep; returns the exit code that it gave. Collective over the
// world, whose rank 0 has a dispatcher in another thread.
int work_in_groups(Communicator& world, const SweepContext& sweep);

}  // namespace hydrajob
