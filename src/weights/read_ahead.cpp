#include "weights/read_ahead.hpp"

#include <algorithm>
#include <sys/uio.h>
#include <unistd.h>
#include <utility>

namespace hydrajob::weights {
namespace {

constexpr std::size_t request_bytes = std::size_t{1} << 20;

}  // namespace

bool is_cached(int fd, std::uint64_t offset) {
  char byte = 0;
  const iovec target{&byte, 1};
  return ::preadv2(fd, &target, 1, static_cast<off_t>(offset), RWF_NOWAIT) == 1;
}

ReadAhead::ReadAhead(int fd, std::vector<FileRange> expected)
    : fd_(fd), expected_(std::move(expected)), scratch_(request_bytes), thread_([this] { read_all(); }) {}

ReadAhead::~ReadAhead() {
  {
    const std::lock_guard lock(mutex_);
    ending_ = true;
  }
  wake_.notify_one();
  thread_.join();
}

void ReadAhead::consumed(std::size_t bytes) {
  {
    const std::lock_guard lock(mutex_);
    consumed_ += bytes;
  }
  wake_.notify_one();
}

bool ReadAhead::wait_for_room(std::size_t done) {
  std::unique_lock lock(mutex_);
  wake_.wait(lock, [&] { return ending_ || done < consumed_ + window; });
  return !ending_;
}

void ReadAhead::read_all() {
  std::size_t done = 0;
  for (const FileRange& range : expected_) {
    for (std::size_t at = 0; at < range.bytes; at += request_bytes) {
      if (!wait_for_room(done)) return;
      const std::size_t bytes = std::min(request_bytes, range.bytes - at);
      read(range.offset + at, bytes);
      done += bytes;
    }
  }
}

// A plain request: the system reads ahead of it with large pages, which it does not when it is only advised
// (0.8 times the rate). What fails here fails again where it is wanted, and is told there.
void ReadAhead::read(std::uint64_t offset, std::size_t bytes) {
  // One page speaks for the others, which would be copied in vain.
  if (is_cached(fd_, offset)) return;
  [[maybe_unused]] const ssize_t got = ::pread(fd_, scratch_.data(), bytes, static_cast<off_t>(offset));
}

}  // namespace hydrajob::weights
