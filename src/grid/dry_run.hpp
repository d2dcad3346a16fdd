// What `hydrajob --dry-run` prints: every run of a plan, what it costs, why it cannot be done, and what
// becomes of all of them on so many ranks.
#pragma once

#include <ostream>
#include <string>

#include "config/experiment.hpp"
#include "grid/plan.hpp"

namespace hydrajob {

// One line a run, in the plan's order: the parameters that differ between runs, memory of one rank, FLOPs and
// bytes of one iteration on one rank, what the whole run takes for collectives (where that is known) and in
// all, and a skipped run's reason. Then the parameters that all runs share, and the schedule. `ranks` 0: not
// known; then one group a degree is assumed. `on`: what the prediction is of: "at the roofline".
void print_dry_run(std::ostream& out, const Experiment& experiment, const Plan& plan, int ranks,
                   const std::string& on = "at the roofline");

}  // namespace hydrajob
