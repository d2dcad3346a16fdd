// Attention of a tree, plainly: what every other version is tested against.
#pragma once

#include "kernels/attention.hpp"

namespace hydrajob::reference {

// As Kernels::attention, one row and one head at a time: every visible key's score, their softmax, the
// weighted sum of values, all in f64. Reads q, k and v and writes out in args.dtype; needs no workspace.
void attention(const AttentionArgs& args);

}  // namespace hydrajob::reference
