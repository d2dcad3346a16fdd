// What each rank of a group has of a sum, for the kernel that needs the sum.
#pragma once

#include <cstdint>

#include "base/dtype.hpp"

namespace hydrajob {

constexpr int most_peers = 8;        // GPUs of one node that reach each other's memory
constexpr int meeting_blocks = 512;  // blocks of a kernel that may meet their peers

// How a kernel knows that all ranks' kernels have come as far as itself: what a rank launched before it has
// then been done. All memory is zero before the first meeting, and the ranks launch the same kernels in the
// same order.
struct Meeting {
  int rank = 0;
  // Of every rank (meeting_blocks, most_peers): how often block b of rank r has arrived, as rank r wrote it
  // there.
  std::uint32_t* arrived[most_peers] = {};
  std::uint32_t* turn =
      nullptr;  // of this rank (meeting_blocks): how often block b has met the others; null: no meeting
};

struct PartialSums {
  const void* parts[most_peers] = {};  // of each rank (rows, hidden) of dtype, added in this order
  int n = 0;                           // 0: there is nothing to add
  DType dtype = DType::f32;
  Meeting meeting;  // before the parts are read
  // Of each rank (rows, hidden) of dtype, where rank r writes columns [r, r + 1) hidden / n of the sums of
  // all parts, before a second meeting: each rank reads and writes (n - 1) / n of a part instead of reading n
  // - 1. hidden is a multiple of 8 n. Null: each rank adds up all columns. Of GPUs only.
  void* summed[most_peers] = {};
};

}  // namespace hydrajob
