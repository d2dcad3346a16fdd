// Keeps storage busy with what will be read next while what was read is still being checked and packed.
#pragma once

#include <condition_variable>
#include <cstddef>
#include <cstdint>
#include <mutex>
#include <thread>
#include <vector>

#include "weights/file_mapping.hpp"

namespace hydrajob::weights {

// Whether the page at `offset` is in the system's cache of the file, as far as it tells.
bool is_cached(int fd, std::uint64_t offset);

// Brings what is expected into the system's cache of the file, in a thread of its own.
class ReadAhead {
 public:
  // Begins with what is expected first; `fd` outlives this object.
  ReadAhead(int fd, std::vector<FileRange> expected);
  ~ReadAhead();  // gives up the rest
  ReadAhead(const ReadAhead&) = delete;
  ReadAhead& operator=(const ReadAhead&) = delete;

  // So many bytes of what is expected have been read. It runs no further ahead of them than `window`.
  void consumed(std::size_t bytes);

  static constexpr std::size_t window = std::size_t{256} << 20;

 private:
  void read_all();
  void read(std::uint64_t offset, std::size_t bytes);
  bool wait_for_room(std::size_t done);  // false at the end

  int fd_;
  std::vector<FileRange> expected_;
  std::vector<std::byte> scratch_;
  std::mutex mutex_;
  std::condition_variable wake_;
  std::size_t consumed_ = 0;  // under mutex_
  bool ending_ = false;       // under mutex_
  std::thread thread_;
};

}  // namespace hydrajob::weights
