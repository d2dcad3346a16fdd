// Partial sums of a decode step that each GPU of a group reads from the others' memory itself: no collective
// runs between a sublayer's product and the normalisation that adds what it gives.
#pragma once

#include <cstdint>
#include <optional>
#include <vector>

#include "comm/communicator.hpp"
#include "grid/peer_reading.hpp"
#include "kernels/partial_sums.hpp"

namespace hydrajob {

class PeerSums {
 public:
  // Of `rows` rows at most, all ranks the same. Nothing where the ranks cannot, or where NCCL is faster
  // (grid/peer_reading). Collective.
  static std::optional<PeerSums> make(Communicator& group, std::int64_t rows, std::int64_t hidden,
                                      DType dtype);

  // Where this rank's next part goes, (rows, hidden) dtype. Two places in turn: when a rank writes a part,
  // its peers have read the one before the last, since they have met it at the last. So a step that is
  // recorded and launched again asks an even number of times: two a layer.
  void* next();
  // The parts of all ranks, of the last next().
  PartialSums sums() const;
  std::size_t bytes() const { return bytes_; }

 private:
  PeerSums(std::vector<void*> memory, int rank, const PeerReading& reading, DType dtype);
  std::byte* place_of(std::size_t rank, std::size_t place) const;

  std::vector<void*> memory_;  // by rank: what Meeting holds, then the places of `reading_`
  int rank_;
  PeerReading reading_;
  std::size_t bytes_;
  DType dtype_;
  std::size_t place_ = 0;  // of the last part: 0 or 1
};

}  // namespace hydrajob
