// A described machine as the planner takes one.
#pragma once

#include "config/machine_description.hpp"
#include "grid/cost_model.hpp"

namespace hydrajob {

// Of its device, for every element type. Of a job of so many ranks: where they fit one node, no group lies on
// two. 0: not known.
CeilingsByDevice ceilings_of(const MachineDescription& machine, std::int64_t ranks);

}  // namespace hydrajob
