// The workload `needles`: many questions about one long document (the paper's section 4.3). The document is
// computed once, then all questions are answered at once, again and again.
#pragma once

#include <memory>

#include "engine/batch.hpp"
#include "needles/needle_task.hpp"
#include "workload/workload.hpp"

namespace hydrajob {

// The run's own task, or the one of token ids that its seed makes.
std::shared_ptr<const NeedleTask> needle_task(const RunSpec& spec);

// The document as the tree, and the run's questions as prompts below it.
Batch make_needle_batch(const NeedleTask& task, const RunSpec& spec);

std::unique_ptr<Workload> make_needles_workload(const PlannedRun& run, const WorkloadContext& context);

}  // namespace hydrajob
