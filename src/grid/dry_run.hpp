// What `hydrajob --dry-run` prints: every run of a plan, what it costs, why it cannot be done, and a summary.
#pragma once

#include <ostream>

#include "config/experiment.hpp"
#include "grid/plan.hpp"

namespace hydrajob {

// One line a run, in the plan's order: the parameters that differ between runs, memory of one rank, FLOPs and
// bytes of one iteration on one rank, the predicted time, and a skipped run's reason. Then the parameters
// that all runs share, and the sums. `ranks` 0: not known; then one group a degree is assumed.
void print_dry_run(std::ostream& out, const Experiment& experiment, const Plan& plan, int ranks);

// Seconds until the last group is done when `groups` of them take runs of these lengths in this order.
double makespan(const std::vector<double>& predicted_s, int groups);

}  // namespace hydrajob
