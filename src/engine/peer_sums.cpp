#include "engine/peer_sums.hpp"

#include <utility>

namespace hydrajob {
namespace {

constexpr std::size_t turns_at = std::size_t{meeting_blocks} * most_peers * sizeof(std::uint32_t);
constexpr std::size_t parts_at = turns_at + meeting_blocks * sizeof(std::uint32_t);
static_assert(parts_at % 256 == 0);

// Each rank reads all parts of the others; NCCL's rings move no more than two parts whatever the ranks, but
// take longer to start.
constexpr std::size_t most_read_bytes = std::size_t{32} << 20;

}  // namespace

std::optional<PeerSums> PeerSums::make(Communicator& group, std::int64_t rows, std::int64_t hidden,
                                       DType dtype) {
  if (group.size() == 1 || group.size() > most_peers || rows == 0) return std::nullopt;
  std::size_t part_bytes = static_cast<std::size_t>(rows * hidden) * size_of(dtype);
  if (part_bytes * static_cast<std::size_t>(group.size() - 1) > most_read_bytes) return std::nullopt;
  part_bytes = (part_bytes + 255) / 256 * 256;
  const std::size_t bytes = parts_at + 2 * part_bytes;
  std::vector<void*> memory = group.peer_memory(bytes);
  if (memory.empty()) return std::nullopt;
  return PeerSums(std::move(memory), group.rank(), part_bytes, bytes, dtype);
}

PeerSums::PeerSums(std::vector<void*> memory, int rank, std::size_t part_bytes, std::size_t bytes,
                   DType dtype)
    : memory_(std::move(memory)), rank_(rank), part_bytes_(part_bytes), bytes_(bytes), dtype_(dtype) {}

void* PeerSums::next() {
  place_ = 1 - place_;
  return part_of(static_cast<std::size_t>(rank_));
}

PartialSums PeerSums::sums() const {
  PartialSums sums;
  sums.n = static_cast<int>(memory_.size());
  sums.dtype = dtype_;
  sums.meeting.rank = rank_;
  for (std::size_t r = 0; r < memory_.size(); ++r) {
    sums.parts[r] = part_of(r);
    sums.meeting.arrived[r] = static_cast<std::uint32_t*>(memory_[r]);
  }
  sums.meeting.turn = reinterpret_cast<std::uint32_t*>(
      static_cast<std::byte*>(memory_[static_cast<std::size_t>(rank_)]) + turns_at);
  return sums;
}

std::byte* PeerSums::part_of(std::size_t rank) const {
  return static_cast<std::byte*>(memory_[rank]) + parts_at + place_ * part_bytes_;
}

}  // namespace hydrajob
