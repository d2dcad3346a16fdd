// From an experiment to its runs.
#pragma once

#include <functional>
#include <set>
#include <string>
#include <vector>

#include "base/dtype.hpp"
#include "config/experiment.hpp"
#include "grid/models.hpp"
#include "grid/needle_texts.hpp"
#include "grid/run_spec.hpp"

namespace hydrajob {

struct ExpandRequest {
  ReadWeights weights_content;        // of a model file; throws UsageError
  std::string auto_device = "cpu";    // what `device: auto` means here
  ReadTokenizer read_tokenizer = {};  // that of a model file
};

// Calls `take` for every run of every block, in order, checked, with its parameters filled; ids are the
// plan's. Throws UsageError on the first wrong point with its place.
void expand(const Experiment& experiment, const ExpandRequest& request,
            const std::function<void(RunSpec&&)>& take);

// The element types that runs of the experiment may have, read off its axes without expanding them: what is
// to be measured before there is a plan.
std::set<DType> dtypes_of(const Experiment& experiment);

// The devices that runs may name, as above; `auto_device` for "auto".
std::set<std::string> devices_of(const Experiment& experiment, const std::string& auto_device);

// Every parameter that shapes the result and only those: not where the weights lie, not the time limit.
Parameters identity_parameters(const RunSpec& spec);

}  // namespace hydrajob
