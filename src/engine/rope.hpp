// Rotary position embedding (Su et al., arXiv 2104.09864): the angle tables.
#pragma once

#include <cstdint>
#include <vector>

#include "config/architecture.hpp"

namespace hydrajob {

struct RopeTable {
  std::vector<float> cosine;  // (positions, head_dim / 2)
  std::vector<float> sine;    // (positions, head_dim / 2)
};

// Angles of positions [0, positions), computed in double and rounded once.
RopeTable make_rope_table(const Architecture& architecture, std::int64_t positions);

}  // namespace hydrajob
