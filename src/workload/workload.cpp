#include "workload/workload.hpp"

#include "base/error.hpp"
#include "workload/attention.hpp"
#include "workload/generate.hpp"
#include "workload/needles.hpp"

namespace hydrajob {

std::unique_ptr<Workload> make_workload(const PlannedRun& run, const WorkloadContext& context) {
  if (run.spec.mode == Mode::vllm || run.spec.mode == Mode::vllm_notok) {
    throw RunError("mode " + to_string(run.spec.mode) + ": no such engine yet");
  }
  switch (run.spec.workload) {
    case WorkloadKind::generate:
      return make_generate_workload(run, context);
    case WorkloadKind::attention:
      return make_attention_workload(run, context);
    case WorkloadKind::needles:
      return make_needles_workload(run, context);
  }
  throw RunError("unknown workload");
}

}  // namespace hydrajob
