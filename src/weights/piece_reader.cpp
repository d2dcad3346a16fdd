#include "weights/piece_reader.hpp"

#include <algorithm>
#include <cerrno>
#include <cstring>

#include <fmt/format.h>

#include "base/error.hpp"
#include "weights/convert.hpp"
#include "weights/file_descriptor.hpp"
#include "weights/model_format.hpp"

namespace hydrajob::weights {
namespace {

// Stays in a core's L2 until it is hashed, or nearly: 4 MiB are slower by a seventh, and so are 64 KiB.
constexpr std::size_t request_bytes = 1024 * 1024;

}  // namespace

void throw_failure(const std::string& path, const TensorEntry& entry, const ReadFailure& failure) {
  const std::string where = fmt::format("{}: tensor '{}'", path, entry.info.name);
  switch (failure.kind) {
    case ReadFailure::Kind::reading:
      throw UsageError(where + " cannot be read: " +
                       (failure.error == EFAULT ? "the file became shorter, or its storage fails"
                                                : std::strerror(failure.error)));
    case ReadFailure::Kind::end_of_file:
      throw UsageError(where + " is cut: the file became shorter");
    case ReadFailure::Kind::overflow:
      throw BeyondRange(where, failure.to);
    default:
      break;
  }
  const RowRange rows = checksum_range(entry.info.rows, failure.range);
  throw UsageError(fmt::format("{} is damaged: rows {} to {} do not match their checksum", where, rows.begin,
                               rows.end - 1));
}

std::vector<RowRange> cut_at_ranges(const TensorEntry& entry, RowRange rows, std::size_t row_bytes,
                                    std::size_t bytes) {
  std::vector<RowRange> pieces;
  if (rows.count() == 0) return pieces;
  const std::int64_t n = entry.info.rows;
  const std::int64_t begin = range_of_row(n, rows.begin), end = range_of_row(n, rows.end - 1) + 1;
  const std::size_t range_bytes = static_cast<std::size_t>(checksum_range(n, begin).count()) * row_bytes;
  const auto step = static_cast<std::int64_t>(std::max<std::size_t>(1, bytes / range_bytes));
  for (std::int64_t i = begin; i < end; i += step) {
    pieces.push_back({std::max(rows.begin, checksum_range(n, i).begin),
                      std::min(rows.end, checksum_range(n, std::min(i + step, end) - 1).end)});
  }
  return pieces;
}

// Where the wanted elements go, and how far they have come.
struct PieceReader::Target {
  std::int64_t begin, end;  // elements of the tensor that are wanted
  DType to;
  WeightSink& sink;
  WeightSink::Room room = {};
  std::size_t used = 0;    // bytes of the room
  bool overflown = false;  // by a finite value
  std::size_t left;        // bytes that are still to come

  std::byte* place() { return room.data + used; }
  // Elements that the room still takes; a new one is asked for where it is full.
  std::int64_t free_elements() {
    if (used == room.bytes) {
      room = sink.room(left);
      used = 0;
    }
    return static_cast<std::int64_t>((room.bytes - used) / size_of(to));
  }
  void advance(std::int64_t elements) {
    const std::size_t bytes = static_cast<std::size_t>(elements) * size_of(to);
    used += bytes;
    left -= bytes;
    if (used == room.bytes) sink.full();
  }
};

PieceReader::PieceReader(int fd, DType from)
    : fd_(fd), from_(from), scratch_(static_cast<std::byte*>(::operator new(request_bytes, page))) {}

ReadFailure PieceReader::read(const TensorEntry& entry, RowRange rows, DType to, WeightSink& sink) {
  const std::int64_t n = entry.info.rows, cols = entry.info.cols;
  if (rows.count() == 0) return {};
  Target target{.begin = rows.begin * cols,
                .end = rows.end * cols,
                .to = to,
                .sink = sink,
                .left = static_cast<std::size_t>(rows.count() * cols) * size_of(to)};
  const std::int64_t last = range_of_row(n, rows.end - 1);
  for (std::int64_t i = range_of_row(n, rows.begin); i <= last; ++i) {
    const ReadFailure failure = read_range(entry, i, target);
    if (failure.kind != ReadFailure::Kind::none) return failure;
  }
  return {};
}

ReadFailure PieceReader::read_range(const TensorEntry& entry, std::int64_t index, Target& target) {
  constexpr auto most_bytes = static_cast<std::int64_t>(request_bytes);
  const std::int64_t most = most_bytes / static_cast<std::int64_t>(size_of(from_));
  const RowRange rows = checksum_range(entry.info.rows, index);
  const std::int64_t end = rows.end * entry.info.cols;
  digest_.reset();
  std::int64_t count = 0;
  for (std::int64_t at = rows.begin * entry.info.cols; at < end; at += count) {
    const bool wanted = at >= target.begin && at < target.end;
    count = std::min(most, end - at);
    if (at < target.begin) count = std::min(count, target.begin - at);
    if (wanted) count = std::min({count, target.end - at, target.free_elements()});
    const ReadFailure failure = read_run(entry, at, count, wanted ? &target : nullptr);
    if (failure.kind != ReadFailure::Kind::none) return failure;
  }
  if (digest_.value() != entry.checksums[static_cast<std::size_t>(index)])
    return {ReadFailure::Kind::checksum, 0, index};
  // Only now: damage makes large values.
  if (target.overflown) return {.kind = ReadFailure::Kind::overflow, .to = target.to};
  return {};
}

// One request. `target` null: it is only hashed.
ReadFailure PieceReader::read_run(const TensorEntry& entry, std::int64_t first, std::int64_t count,
                                  Target* target) {
  const bool straight = target != nullptr && target->to == from_;
  std::byte* place = straight ? target->place() : scratch_.get();
  const std::size_t bytes = static_cast<std::size_t>(count) * size_of(from_);
  const ReadBytes read =
      read_bytes(fd_, entry.offset + static_cast<std::size_t>(first) * size_of(from_), place, bytes);
  if (read.got < bytes) {
    return {read.error != 0 ? ReadFailure::Kind::reading : ReadFailure::Kind::end_of_file, read.error, 0};
  }
  digest_.add(place, bytes);
  if (target == nullptr) return {};
  if (!straight && !convert_in_range(place, from_, target->place(), target->to, count))
    target->overflown = true;
  target->advance(count);
  return {};
}

}  // namespace hydrajob::weights
