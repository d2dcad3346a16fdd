// The model that a group has loaded, kept from run to run while the runs use the same weights.
#pragma once

#include <cstdint>
#include <memory>
#include <string>

#include "engine/engine.hpp"
#include "grid/run_spec.hpp"
#include "timing/recorder.hpp"

namespace hydrajob {

// What the weights are packed for: the same whichever run of a sweep comes first, so that no run's speed
// depends on it. A batch of decode; prefill's hundreds of rows are fast in any packing.
constexpr std::int64_t rows_to_pack_for = 64;

class ModelCache {
 public:
  // Loads what the run needs unless it is there, as the phase `load`. A model of other weights is dropped
  // first: both may not fit.
  std::shared_ptr<const Model> load(const RunSpec& spec, const EngineContext& context, int threads,
                                    Recorder& recorder);

  // Before a run that uses none: the plan counts on the memory.
  void drop();

 private:
  std::string key_;
  std::shared_ptr<const Model> model_;
};

}  // namespace hydrajob
