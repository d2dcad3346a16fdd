// What becomes of a plan on so many ranks: the dispatcher's own queue, served by groups that take as long as
// is predicted. Nothing runs; neither ranks nor machine have to be there.
#pragma once

#include <cstdint>
#include <vector>

#include "grid/plan.hpp"

namespace hydrajob {

// All runs of one degree: the next one begins when the last group is done (sched/dispatcher.hpp).
struct SimulatedStage {
  int degree = 1;
  std::int64_t groups = 0;
  std::int64_t runs = 0;
  double makespan_s = 0;   // until the last group is done
  double busy_s = 0;       // of all groups together
  double longest_s = 0;    // one run, with its loading
  double one_group_s = 0;  // what one group alone would take
};

struct SimulatedSchedule {
  std::int64_t ranks = 0;
  std::vector<SimulatedStage> stages;  // in their order

  double makespan_s() const;
  double one_group_s() const;
  // Of all ranks' time until the end: those of groups that wait for the last one, and those that are too few
  // for a group. 0 where nothing is predicted.
  double idle_share() const;
};

// Each group asks for a run when it is free, the lower numbered first, and gets what RunQueue gives; a run
// with other weights than the group's last loads them first. A dispatcher that answers at once, no run that
// fails. `ranks` 0: not known, one group a degree. O(runs log runs), whatever the ranks.
SimulatedSchedule simulate_schedule(const Plan& plan, std::int64_t ranks);

}  // namespace hydrajob
