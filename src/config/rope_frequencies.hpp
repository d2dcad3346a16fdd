// The frequencies of rotary position embedding (Su et al., arXiv 2104.09864), with the linear and llama3
// scalings as transformers' modeling_rope_utils defines them.
#pragma once

#include <vector>

#include "config/architecture.hpp"

namespace hydrajob {

// (head_dim / 2) radians a position: pair i, dimensions i and i + head_dim / 2, turns by the i-th.
std::vector<double> rope_frequencies(const Architecture& architecture);

}  // namespace hydrajob
