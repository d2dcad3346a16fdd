// Experiments planned on the machines of configs/machines/, for the tests of this folder.
#pragma once

#include <filesystem>
#include <string>

#include "config/experiment.hpp"
#include "config/machine_description.hpp"
#include "grid/described_machine.hpp"
#include "grid/plan.hpp"

namespace hydrajob {

inline std::filesystem::path source_path(const std::string& path) {
  return std::filesystem::path(HJ_SOURCE_DIR) / path;
}

inline Plan plan_on(const MachineDescription& machine, const Experiment& experiment, int ranks) {
  PlanRequest request;
  request.ranks = ranks;
  request.ranks_per_node = static_cast<int>(machine.links.ranks_per_node);
  request.ceilings_of = ceilings_of(machine, ranks);
  request.devices = {machine.device};
  return make_plan(experiment, request);
}

inline Plan plan_on(const std::string& machine, const Experiment& experiment, int ranks) {
  return plan_on(load_machine(source_path("configs/machines/" + machine + ".yaml")), experiment, ranks);
}

}  // namespace hydrajob
