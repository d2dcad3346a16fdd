// The plan: which runs there are, what each costs, which cannot be done and why, in the order they are taken.
#pragma once

#include <functional>
#include <map>
#include <string>
#include <vector>

#include "config/experiment.hpp"
#include "grid/cost_model.hpp"
#include "grid/expand.hpp"
#include "grid/run_spec.hpp"

namespace hydrajob {

struct PlannedRun {
  RunSpec spec;
  RunCost cost;
  std::string skip_reason;  // empty: it can run
};

struct PlanRequest {
  int ranks = 1;           // of the job; 0: not known yet, every degree is taken
  int ranks_per_node = 0;  // 0: not known
  Ceilings ceilings;       // memory_bytes 0: not known, everything fits
  // Where a device's products of a dtype have ceilings of their own; others take `ceilings`.
  CeilingsByDevice ceilings_of = {};
  std::string code_digest;  // of the sources that shape a result
  // Digest of a weights file without reading its tensors; random weights are handled here.
  std::function<std::string(const std::string& path)> weights_digest;
  ReadWeights weights_content;        // of a weights file; throws UsageError
  ReadTokenizer read_tokenizer = {};  // that of a weights file; null: it has none; throws UsageError
  std::vector<std::string> devices = {
      "cpu"};                        // of this build and machine, the best first: `device: auto` takes it
  std::vector<std::string> only;     // "mode=hydragen,batch>=64": runs that match any; empty: all
  std::vector<std::string> exclude;  // runs that match none
};

struct Plan {
  // The degrees from the largest; within one, runs that share weights together, those of most predicted time
  // first; within these, longest predicted first. Skipped runs are last.
  std::vector<PlannedRun> runs;
  // What a person should know: ranks that idle, groups that span nodes, rates that are not known.
  std::vector<std::string> notes;

  int idle_ranks(int tensor_parallel, int ranks) const { return ranks % tensor_parallel; }
};

// Expands, validates and costs the whole grid. Throws UsageError on the first wrong point with its place, for
// a run that two points ask for, and when `only` and `exclude` leave nothing.
Plan make_plan(const Experiment& experiment, const PlanRequest& request);

}  // namespace hydrajob
