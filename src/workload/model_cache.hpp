// The model that a group has loaded, kept from run to run while the runs use the same weights.
#pragma once

#include <memory>
#include <string>

#include "engine/engine.hpp"
#include "grid/run_spec.hpp"

namespace hydrajob {

struct LoadedModel {
  std::shared_ptr<const Model> model;
  double load_s = 0;  // of the run that loaded it; 0 for those that found it loaded
};

class ModelCache {
 public:
  // Loads what the run needs unless it is there. A model of other weights is dropped first: both may not fit.
  LoadedModel load(const RunSpec& spec, const EngineContext& context, int threads);

 private:
  std::string key_;
  std::shared_ptr<const Model> model_;
};

}  // namespace hydrajob
