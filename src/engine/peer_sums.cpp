#include "engine/peer_sums.hpp"

#include <utility>

namespace hydrajob {
namespace {

constexpr std::size_t turns_at = std::size_t{meeting_blocks} * most_peers * sizeof(std::uint32_t);
constexpr std::size_t parts_at = turns_at + meeting_blocks * sizeof(std::uint32_t);
static_assert(parts_at % 256 == 0);
static_assert(most_reading_ranks <= most_peers);

std::size_t bytes_of(const PeerReading& reading) {
  return parts_at + static_cast<std::size_t>(reading.places) * reading.part_bytes;
}

}  // namespace

std::optional<PeerSums> PeerSums::make(Communicator& group, std::int64_t rows, std::int64_t hidden,
                                       DType dtype) {
  const PeerReading reading = peer_reading(group.size(), rows, hidden, size_of(dtype));
  if (!reading.reads) return std::nullopt;
  std::vector<void*> memory = group.peer_memory(bytes_of(reading));
  if (memory.empty()) return std::nullopt;
  return PeerSums(std::move(memory), group.rank(), reading, dtype);
}

PeerSums::PeerSums(std::vector<void*> memory, int rank, const PeerReading& reading, DType dtype)
    : memory_(std::move(memory)), rank_(rank), reading_(reading), bytes_(bytes_of(reading)), dtype_(dtype) {}

void* PeerSums::next() {
  place_ = 1 - place_;
  return place_of(static_cast<std::size_t>(rank_), place_);
}

PartialSums PeerSums::sums() const {
  PartialSums sums;
  sums.n = static_cast<int>(memory_.size());
  sums.dtype = dtype_;
  sums.meeting.rank = rank_;
  for (std::size_t r = 0; r < memory_.size(); ++r) {
    sums.parts[r] = place_of(r, place_);
    if (reading_.shares) sums.summed[r] = place_of(r, 2);
    sums.meeting.arrived[r] = static_cast<std::uint32_t*>(memory_[r]);
  }
  sums.meeting.turn = reinterpret_cast<std::uint32_t*>(
      static_cast<std::byte*>(memory_[static_cast<std::size_t>(rank_)]) + turns_at);
  return sums;
}

std::byte* PeerSums::place_of(std::size_t rank, std::size_t place) const {
  return static_cast<std::byte*>(memory_[rank]) + parts_at + place * reading_.part_bytes;
}

}  // namespace hydrajob
