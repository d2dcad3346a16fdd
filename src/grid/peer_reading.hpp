// How the GPUs of a group add up what each has of a decode step's sums, out of each other's memory: decided
// here for the engine (engine/peer_sums) and for what predicts it.
#pragma once

#include <cstddef>
#include <cstdint>

namespace hydrajob {

constexpr int most_reading_ranks = 8;

struct PeerReading {
  bool reads = false;   // else a collective adds up: it moves two parts at most, but takes longer to start
  bool shares = false;  // each rank adds up its columns, writes the sums to all; else each adds up everything
  double read_bytes = 0;       // that a rank reads of its peers and writes to them, for one sum
  std::size_t part_bytes = 0;  // of a place that holds (rows, hidden)
  int places = 0;              // that each rank holds: two parts in turn, and the columns it adds up
};

// Of GPUs on one node. `element`: bytes of one.
PeerReading peer_reading(std::int64_t ranks, std::int64_t rows, std::int64_t hidden, std::size_t element);

}  // namespace hydrajob
