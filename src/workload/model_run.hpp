// What every workload with a model does: loads it, prepares a batch, and times a first phase and the decode
// steps behind it.
#pragma once

#include <cstddef>
#include <cstdint>
#include <functional>
#include <optional>
#include <string>

#include "engine/engine.hpp"
#include "timing/recorder.hpp"
#include "workload/workload.hpp"

namespace hydrajob {

class ModelRun {
 public:
  ModelRun(const PlannedRun& run, const WorkloadContext& context)
      : run_(run), context_(context), recorder_(*context.engine.device, *context.engine.group) {}

  // As Workload's. `sampling`: greedy unless given.
  void prepare(const Batch& batch, const SamplingArgs& sampling = {});
  void connect();

  Engine& engine() { return *engine_; }
  const Engine& engine() const { return *engine_; }
  Recorder& recorder() { return recorder_; }
  double memory_used() const { return memory_used_; }  // bytes of this rank, once connected

  // One phase, begun by all ranks together; returns it, which nothing has observed yet. The time check stands
  // before it.
  std::size_t time_phase(const std::string& phase, std::int32_t iteration, bool warmup,
                         const std::function<void()>& work);
  // From the batch's beginning: `first` as a phase, then all decode steps. The time check stands between the
  // steps, outside of every phase; all ranks leave it together.
  void time_iteration(const std::string& phase, std::int32_t iteration, bool warmup,
                      const std::function<void()>& first);

 private:
  const PlannedRun& run_;
  const WorkloadContext& context_;
  Recorder recorder_;
  std::optional<Engine> engine_;
  std::size_t weights_bytes_ = 0;
  double memory_used_ = 0;
};

}  // namespace hydrajob
