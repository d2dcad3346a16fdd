// The model that a group has loaded, kept from run to run while the runs use the same weights.
#pragma once

#include <memory>
#include <string>

#include "engine/engine.hpp"
#include "grid/run_spec.hpp"
#include "timing/recorder.hpp"

namespace hydrajob {

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
