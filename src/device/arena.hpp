// Which parts of one block of memory are taken: offsets only, whatever the block is. What is given back is
// one free piece with its free neighbours, so that a run that gives everything back leaves the next the
// whole.
#pragma once

#include <cstddef>
#include <map>
#include <optional>
#include <unordered_map>

namespace hydrajob {

class Arena {
 public:
  // Pieces begin and end at multiples of this; a block of other length loses its end.
  static constexpr std::size_t granule = 4096;

  explicit Arena(std::size_t bytes = 0);

  // Where a piece of `bytes` begins: in the first free place that holds it. Nothing: there is none.
  std::optional<std::size_t> take(std::size_t bytes);
  // A piece, by where it begins.
  void give_back(std::size_t offset);

  std::size_t bytes() const { return bytes_; }
  std::size_t taken() const { return taken_; }
  std::size_t largest_free() const;

 private:
  std::size_t bytes_;
  std::size_t taken_ = 0;
  std::map<std::size_t, std::size_t> free_;              // offset -> bytes; no two touch
  std::unordered_map<std::size_t, std::size_t> pieces_;  // offset -> bytes
};

}  // namespace hydrajob
