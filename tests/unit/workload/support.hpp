// Small runs on one rank, for the tests of this folder.
#pragma once

#include <algorithm>
#include <memory>
#include <string>
#include <vector>

#include "workload/model_cache.hpp"
#include "workload/workload.hpp"

namespace hydrajob {

// Everything that a workload is given, with kernels that need no tuning.
struct OneRank {
  std::unique_ptr<Device> device = make_device({});
  std::unique_ptr<Kernels> kernels = make_reference_kernels();
  std::unique_ptr<Communicator> self = make_self_communicator();
  ModelCache models;

  EngineContext engine() { return {device.get(), kernels.get(), self.get()}; }
  WorkloadContext context() {
    WorkloadContext context;
    context.engine = engine();
    context.models = &models;
    context.check_time = [] {};
    return context;
  }
};

inline PlannedRun generate_run(std::int64_t new_tokens) {
  PlannedRun run;
  Architecture& a = run.spec.architecture;
  a.name = "small";
  a.n_layers = 1;
  a.hidden = 16;
  a.n_heads = 2;
  a.n_kv_heads = 1;
  a.head_dim = 8;
  a.intermediate = 24;
  a.vocab = 32;
  a.max_positions = 64;
  run.spec.batch = 2;
  run.spec.prefix = 3;
  run.spec.tree = {{1, 3}};
  run.spec.new_tokens = new_tokens;
  run.spec.iterations = run.spec.max_iterations = 2;
  run.cost = cost_of(run.spec, {});
  return run;
}

inline RunRecord record_of(const PlannedRun& run, const WorkloadContext& context) {
  const auto workload = make_workload(run, context);
  workload->prepare();
  workload->connect();
  return workload->measure();
}

// The measured samples of a phase, in order; none where the record does not have it.
inline std::vector<double> samples_of(const RunRecord& record, const std::string& phase) {
  const auto is_it = [&](const SampleSeries& s) { return s.phase == phase && !s.warmup; };
  const auto at = std::find_if(record.samples.begin(), record.samples.end(), is_it);
  return at == record.samples.end() ? std::vector<double>{} : at->value;
}

}  // namespace hydrajob
