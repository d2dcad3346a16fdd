// The plan: which runs there are, what each costs, which cannot be done and why, in the order they are taken.
#pragma once

#include <functional>
#include <string>
#include <vector>

#include "config/experiment.hpp"
#include "grid/cost_model.hpp"
#include "grid/run_spec.hpp"

namespace hydrajob {

struct PlannedRun {
  RunSpec spec;
  RunCost cost;
  std::string skip_reason;  // empty: it can run
};

struct PlanRequest {
  int ranks = 1;                  // of the job
  int ranks_per_node = 1;
  Ceilings ceilings;
  std::string code_digest;        // of the sources that shape a result
  // Digest of a weights file without reading its tensors: "random:<seed>" is handled here, paths go through this.
  std::function<std::string(const std::string& path)> weights_digest;
  std::vector<std::string> only;     // "mode=hydragen,batch>=64": runs that match any; empty: all
  std::vector<std::string> exclude;  // runs that match none
};

struct Plan {
  std::vector<PlannedRun> runs;  // grouped by degree (largest first) and weights, longest predicted first
  int idle_ranks(int tensor_parallel, int ranks) const { return ranks % tensor_parallel; }
};

// Expands, validates and costs the whole grid. Throws UsageError on the first wrong point with its place.
Plan make_plan(const Experiment& experiment, const PlanRequest& request);

}  // namespace hydrajob
