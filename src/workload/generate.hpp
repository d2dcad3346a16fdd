// The workload `generate`: a batch of completions of a shared prompt, end to end (the paper's section 4.1).
#pragma once

#include <memory>

#include "engine/batch.hpp"
#include "workload/workload.hpp"

namespace hydrajob {

// Random token ids, from the run's seed: the tree of its `tree`, `batch` sequences spread evenly over its
// leaves, each with `suffix` tokens of its own.
Batch make_batch(const RunSpec& spec);

std::unique_ptr<Workload> make_generate_workload(const PlannedRun& run, const WorkloadContext& context);

}  // namespace hydrajob
