// The workload `attention`: one attention operation of a decode step, no model (the paper's microbenchmark,
// section 4.2): queries of `batch` sequences against a shared prefix and `suffix` tokens of their own.
#pragma once

#include <memory>

#include "workload/workload.hpp"

namespace hydrajob {

std::unique_ptr<Workload> make_attention_workload(const PlannedRun& run, const WorkloadContext& context);

}  // namespace hydrajob
