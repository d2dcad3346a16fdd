// Attention of a tree on the CPU (docs/attention-cpu.md).
#pragma once

#include <cstddef>

#include "kernels/attention.hpp"
#include "kernels/cpu/isa.hpp"

namespace hydrajob::cpu {

// Bytes that attention() needs at args.workspace. Reads the shape, lengths and row ranges of `args`, no
// tensor. Never less for a longer own_length, all else equal: asked once for the longest, it serves every
// decode step.
std::size_t attention_workspace(const AttentionArgs& args, int threads);

// As Kernels::attention. The result does not depend on `threads`. Throws UsageError for a wrong HYDRAJOB_ISA.
void attention(const AttentionArgs& args, int threads);

// The same with one instruction set, which the processor must have.
void attention(const AttentionArgs& args, int threads, Isa isa);

}  // namespace hydrajob::cpu
