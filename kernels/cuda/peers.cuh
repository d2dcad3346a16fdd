// Kernels of several GPUs that wait for each other, and what they read of each other's memory.
#pragma once

#include <cstdint>

#include "kernels/cuda/element.cuh"
#include "kernels/partial_sums.hpp"

namespace hydrajob::cuda {

// Returns once the blocks of this index on all `n` ranks have called it as often. What a rank's stream did
// before its kernel is then there for all: begin_kernel() has waited for it, and the release passes it on. A
// block waits for peers of its own index only, which wait for nothing but earlier meetings of this index
// before they arrive. There may be more blocks than a GPU holds at once, as GPUs start them in the order of
// their index: the lowest that waits has a peer that runs, or is next to.
__device__ inline void meet(const Meeting& meeting, int n) {
  __shared__ std::uint32_t turn;
  if (threadIdx.x == 0) {
    turn = meeting.turn[blockIdx.x] + 1;
    meeting.turn[blockIdx.x] = turn;
  }
  __syncthreads();
  const int peer = static_cast<int>(threadIdx.x);
  if (peer < n && peer != meeting.rank) {
    std::uint32_t* there = meeting.arrived[peer] + blockIdx.x * most_peers + meeting.rank;
    const std::uint32_t* here = meeting.arrived[meeting.rank] + blockIdx.x * most_peers + peer;
    asm volatile("st.release.sys.global.u32 [%0], %1;" ::"l"(there), "r"(turn) : "memory");
    std::uint32_t arrived;
    do {
      asm volatile("ld.acquire.sys.global.u32 %0, [%1];" : "=r"(arrived) : "l"(here) : "memory");
    } while (static_cast<std::int32_t>(arrived - turn) < 0);  // counts may wrap
  }
  __syncthreads();
}

// As load(), but never from this multiprocessor's first cache, which does not see what other GPUs write.
template <int N, class T>
__device__ inline void load_past_l1(const T* source, Pack<T, N>& pack) {
  constexpr int bytes = N * sizeof(T);
  if constexpr (bytes % 16 == 0) {
#pragma unroll
    for (int i = 0; i < bytes / 16; ++i) {
      reinterpret_cast<uint4*>(&pack)[i] = __ldcg(reinterpret_cast<const uint4*>(source) + i);
    }
  } else {
    static_assert(N == 1);
    pack.values[0] = __ldcg(source);
  }
}

// Elements [i, i + N) of the sum. Parts are asked for before any is added, as many as there are registers
// for.
template <class Part, int N>
__device__ inline void sum_parts(const PartialSums& added, std::int64_t i, float (&sum)[N]) {
  constexpr int at_once = sizeof(Part) == 2 ? most_peers : most_peers / 2;
#pragma unroll
  for (int j = 0; j < N; ++j) sum[j] = 0;
#pragma unroll
  for (int first = 0; first < most_peers; first += at_once) {
    Pack<Part, N> parts[at_once];
#pragma unroll
    for (int p = 0; p < at_once; ++p) {
      if (first + p < added.n) load_past_l1(static_cast<const Part*>(added.parts[first + p]) + i, parts[p]);
    }
#pragma unroll
    for (int p = 0; p < at_once; ++p) {
      if (first + p >= added.n) continue;
#pragma unroll
      for (int j = 0; j < N; ++j) sum[j] += to_float(parts[p].values[j]);
    }
  }
}

// This rank's columns of the sums of rows blockIdx.x, blockIdx.x + gridDim.x, …, written to all ranks;
// returns when theirs of these rows are here. What was here before is not read any more: a kernel that read
// it had ended when its rank's block met this one.
template <class Part, int N>
__device__ inline void sum_own_columns(const PartialSums& added, std::int64_t rows, std::int64_t hidden) {
  const std::int64_t columns = hidden / added.n, first = columns * added.meeting.rank, packs = columns / N;
  const std::int64_t own_rows = (rows - blockIdx.x + gridDim.x - 1) / gridDim.x;
  for (std::int64_t j = threadIdx.x; j < own_rows * packs; j += blockDim.x) {
    const std::int64_t at = (blockIdx.x + j / packs * gridDim.x) * hidden + first + j % packs * N;
    float sum[N];
    sum_parts<Part>(added, at, sum);
#pragma unroll
    for (int p = 0; p < most_peers; ++p) {
      if (p < added.n) store(static_cast<Part*>(added.summed[p]) + at, sum);
    }
  }
  __threadfence_system();
  meet(added.meeting, added.n);
}

// Elements [i, i + N) of the sums that all ranks have written here.
template <class Part, int N>
__device__ inline void load_summed(const PartialSums& added, std::int64_t i, float (&sum)[N]) {
  Pack<Part, N> pack;
  load_past_l1(static_cast<const Part*>(added.summed[added.meeting.rank]) + i, pack);
#pragma unroll
  for (int j = 0; j < N; ++j) sum[j] = to_float(pack.values[j]);
}

}  // namespace hydrajob::cuda
