#include "grid/peer_reading.hpp"

namespace hydrajob {
namespace {

constexpr double most_read_bytes = 32 << 20;
// On four H200s, of parts of 1 MiB, both ways took as long: there 1.5 MiB are saved, for a second meeting.
constexpr double least_saved_bytes = 1 << 20;
constexpr std::int64_t pack = 8;  // neighbouring elements that kernels move at once

}  // namespace

PeerReading peer_reading(std::int64_t ranks, std::int64_t rows, std::int64_t hidden, std::size_t element) {
  PeerReading reading;
  if (ranks < 2 || ranks > most_reading_ranks || rows == 0) return reading;
  const std::size_t bytes = static_cast<std::size_t>(rows * hidden) * element;
  const auto part = static_cast<double>(bytes), n = static_cast<double>(ranks);
  const double all = (n - 1) * part, shared = 2 * (n - 1) / n * part;
  reading.shares = all - shared > least_saved_bytes && hidden % (ranks * pack) == 0;
  reading.read_bytes = reading.shares ? shared : all;
  reading.reads = reading.read_bytes <= most_read_bytes;
  reading.part_bytes = (bytes + 255) / 256 * 256;
  reading.places = reading.shares ? 3 : 2;
  return reading;
}

}  // namespace hydrajob
