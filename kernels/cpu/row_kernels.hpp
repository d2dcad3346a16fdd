// The vectorised inner parts of the CPU kernels, one row or less each, in one thread: the same source
// compiled for each instruction set (lanes.inc). All give the same bits, so a token does not depend on the
// processor's width.
#pragma once

#include <cstdint>

#include "base/dtype.hpp"
#include "base/philox.hpp"
#include "kernels/cpu/isa.hpp"

namespace hydrajob::cpu {

struct Candidate {
  float value;
  std::int32_t id;
};

// The random numbers of one row.
struct RowRandom {
  float temperature = 0;
  PhiloxKey key{};
  std::uint32_t sequence = 0;
  std::uint32_t step = 0;
};

// Each as the operation of the same name in kernels.hpp, for one row. `dtype` is the element type of the
// void*.
struct RowKernels {
  // target[i] = source[i] of n.
  void (*to_f32)(const void* source, DType dtype, float* target, std::int64_t n);
  void (*from_f32)(const float* source, void* target, DType dtype, std::int64_t n);

  void (*add_rmsnorm)(float* residual, const float* delta, const void* weight, void* out, std::int64_t hidden,
                      float eps, DType dtype);
  // in, out: (head_dim); cosine, sine: (head_dim / 2).
  void (*rotate)(const void* in, void* out, const float* cosine, const float* sine, std::int64_t head_dim,
                 DType dtype);
  // gate, up, out: (n).
  void (*swiglu)(const void* gate, const void* up, void* out, std::int64_t n, DType dtype);

  float (*maximum)(const float* logits, std::int64_t n_ids);
  // Adds to histogram: (2048).
  void (*nucleus_histogram)(const float* logits, float maximum, std::uint32_t prefix, int pass,
                            float temperature, std::uint64_t* histogram, std::int64_t n_ids);
  // Of ids [first_id, first_id + n_ids) whose key is at least smallest_key; (-inf, first_id) when there is
  // none.
  Candidate (*greedy)(const float* logits, std::uint32_t smallest_key, std::int64_t first_id,
                      std::int64_t n_ids);
  Candidate (*gumbel)(const float* logits, const RowRandom& random, std::uint32_t smallest_key,
                      std::int64_t first_id, std::int64_t n_ids);
};

// Of one instruction set, which the processor must have; avx512_bf16 is avx512 here.
const RowKernels& row_kernels(Isa isa);

const RowKernels& row_kernels_portable();
const RowKernels& row_kernels_avx2();
const RowKernels& row_kernels_avx512();

}  // namespace hydrajob::cpu
