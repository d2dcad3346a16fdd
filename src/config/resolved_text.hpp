// An experiment written out: what the store keeps beside its runs.
#pragma once

#include <string>

#include "config/experiment.hpp"

namespace hydrajob {

// YAML of the merged blocks with every default spelled out. Reads back as an equal experiment, also with a
// later version whose defaults differ.
std::string resolved_text(const Experiment& experiment);

}  // namespace hydrajob
