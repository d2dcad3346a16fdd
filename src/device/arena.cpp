#include "device/arena.hpp"

#include <algorithm>
#include <iterator>

namespace hydrajob {

Arena::Arena(std::size_t bytes) : bytes_(bytes / granule * granule) {
  if (bytes_ > 0) free_.emplace(0, bytes_);
}

std::optional<std::size_t> Arena::take(std::size_t bytes) {
  if (bytes > bytes_) return std::nullopt;
  const std::size_t wanted = (std::max<std::size_t>(bytes, 1) + granule - 1) / granule * granule;
  const auto place =
      std::find_if(free_.begin(), free_.end(), [&](const auto& piece) { return piece.second >= wanted; });
  if (place == free_.end()) return std::nullopt;
  const auto [offset, length] = *place;
  free_.erase(place);
  if (length > wanted) free_.emplace(offset + wanted, length - wanted);
  pieces_.emplace(offset, wanted);
  taken_ += wanted;
  return offset;
}

void Arena::give_back(std::size_t offset) {
  const auto piece = pieces_.find(offset);
  std::size_t length = piece->second;
  pieces_.erase(piece);
  taken_ -= length;
  const auto after = free_.lower_bound(offset);
  if (after != free_.begin()) {
    const auto before = std::prev(after);
    if (before->first + before->second == offset) {
      offset = before->first;
      length += before->second;
      free_.erase(before);
    }
  }
  if (after != free_.end() && offset + length == after->first) {
    length += after->second;
    free_.erase(after);
  }
  free_.emplace(offset, length);
}

std::size_t Arena::largest_free() const {
  std::size_t largest = 0;
  for (const auto& [offset, length] : free_) largest = std::max(largest, length);
  return largest;
}

}  // namespace hydrajob
