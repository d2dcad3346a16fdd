#include "main/command_run.hpp"

#include <algorithm>
#include <cstdlib>
#include <iostream>

#include <fmt/format.h>

#include "base/file.hpp"
#include "base/log.hpp"
#include "comm/mpi_session.hpp"
#include "config/experiment.hpp"
#include "config/machine_description.hpp"
#include "config/named_file.hpp"
#include "grid/dry_run.hpp"
#include "main/options.hpp"
#include "sched/agree.hpp"
#include "sched/machine.hpp"
#include "sched/sweep.hpp"

namespace hydrajob {
namespace {

// Every run's id and parameters, without measuring the machine.
void print_list(const Plan& plan) {
  for (const PlannedRun& run : plan.runs) {
    const std::string skipped = run.skip_reason.empty() ? "" : "  skipped: " + run.skip_reason;
    std::cout << run.spec.id << "  " << to_string(run.spec.parameters) << skipped << '\n';
  }
}

int largest_degree(const Plan& plan) {
  int degree = 1;
  for (const PlannedRun& run : plan.runs) degree = std::max(degree, run.spec.tensor_parallel);
  return degree;
}

// As the option says, else as there are, else as the widest run needs.
int ranks_to_plan_for(const Experiment& experiment, const RunOptions& options, const Communicator& world) {
  if (options.ranks > 0) return options.ranks;
  if (launched_by_mpi()) return world.size();
  return largest_degree(make_plan(experiment, plan_request(options.sweep, options.ranks)));
}

MachineDescription described_machine(const Experiment& experiment, const RunOptions& options) {
  const Place place{options.machine_given_by};
  return load_machine(
      named_file("machine", options.machine, experiment.file.parent_path() / "machines", place));
}

// On a machine that need not be there: nothing is measured, no device asked.
void show_plan_of_described(const Experiment& experiment, const RunOptions& options, int ranks) {
  const MachineDescription machine = described_machine(experiment, options);
  const Plan plan = make_plan(experiment, plan_request(options.sweep, ranks, machine));
  if (options.list) return print_list(plan);
  print_dry_run(std::cout, experiment, plan, ranks, "on " + machine.name);
}

// What would be done.
void show_plan(const Experiment& experiment, const RunOptions& options, const Communicator& world) {
  const int ranks = ranks_to_plan_for(experiment, options, world);
  if (!options.machine.empty()) return show_plan_of_described(experiment, options, ranks);
  if (options.list) return print_list(make_plan(experiment, plan_request(options.sweep, ranks)));
  const auto self = make_self_communicator();
  const Machine machine(*self, experiment, {options.sweep.threads, ranks, options.sweep.share_gpus});
  const CeilingsByDevice ceilings = machine.ceilings(*self, experiment);
  print_dry_run(std::cout, experiment,
                make_plan(experiment, plan_request(options.sweep, ranks, machine, ceilings)), ranks);
}

ExitCode run_job(const std::vector<std::string>& arguments, const WorkloadFactory& factory,
                 Communicator& world) {
  const RunOptions options = agreed(world, [&] { return parse_run_options(arguments); });
  agreed(world, [&] { log::start(world.rank(), options.log_dir, options.verbose); });
  const Experiment experiment = agreed(world, [&] { return load_experiment(options.config, options.set); });
  if (!options.list && !options.dry_run) return run_sweep(experiment, options.sweep, world, factory);
  agreed(world, [&] {
    if (world.rank() != 0) return;
    show_plan(experiment, options, world);
    flush_output();
  });
  return ExitCode::ok;
}

}  // namespace

ExitCode run_or_explain(Communicator& world, const std::function<ExitCode()>& job) {
  try {
    return job();
  } catch (const AgreedError& e) {
    if (world.rank() == 0) log::error(e.what());
    world.barrier();  // mpirun kills the others when the first rank leaves
    return e.code();
  } catch (...) {
    world.abort(static_cast<int>(log::exception_in_flight()));
    std::abort();  // g++ 12 and 13 do not see that the line above never returns
  }
}

ExitCode run_on_ranks(const std::function<ExitCode(Communicator& world)>& job) {
  const auto run_on = [&](Communicator& world) { return run_or_explain(world, [&] { return job(world); }); };
  if (!launched_by_mpi()) return run_on(*make_self_communicator());
  MpiSession session;
  return run_on(session.world());
}

ExitCode run_experiment(const std::vector<std::string>& arguments, const WorkloadFactory& factory) {
  return run_on_ranks([&](Communicator& world) { return run_job(arguments, factory, world); });
}

}  // namespace hydrajob
