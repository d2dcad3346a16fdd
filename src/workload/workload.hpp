// A workload: what one run does with the engine. Workloads return a record; they never write files.
#pragma once

#include <functional>
#include <memory>
#include <string>

#include "comm/communicator.hpp"
#include "device/device.hpp"
#include "engine/engine.hpp"
#include "grid/plan.hpp"
#include "kernels/kernels.hpp"
#include "store/run_record.hpp"

namespace hydrajob {

// Models that stay loaded from run to run of a group.
class ModelCache;

struct WorkloadContext {
  EngineContext engine;
  Ceilings ceilings;  // of the run's dtype
  ModelCache* models = nullptr;
  int threads = 1;
  // Asked between samples, outside every timed interval: throws TimeLimit when the run's time is over, on all
  // ranks of the group together. Collective.
  std::function<void()> check_time;
};

class Workload {
 public:
  virtual ~Workload() = default;

  // Everything that can fail on one rank alone: loading, allocation. Errors thrown here are agreed on by the
  // group.
  virtual void prepare() = 0;
  // What the ranks of the group prepare together, once prepare() has succeeded on all of them. Collective.
  virtual void connect() {}
  // Measures. Metrics and samples of the record are filled on the group's rank 0; on others the record is
  // empty.
  virtual RunRecord measure() = 0;
};

// The workload of a planned run. Throws RunError for a mode or device that has no implementation.
std::unique_ptr<Workload> make_workload(const PlannedRun& run, const WorkloadContext& context);

}  // namespace hydrajob
