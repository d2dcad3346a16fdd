// Whether decode reads each shared segment once for all rows below it, or once a sequence.
#pragma once

#include "engine/layout.hpp"
#include "grid/run_spec.hpp"
#include "kernels/attention.hpp"

namespace hydrajob {

// By the mode; Mode::automatic asks the cost model (sharing_pays). `shape`: heads, head_dim and dtype are
// looked at.
bool shares_segments(Mode mode, const Pass& decode, const AttentionArgs& shape);

}  // namespace hydrajob
