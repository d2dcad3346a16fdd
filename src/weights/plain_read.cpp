#include "weights/plain_read.hpp"

#include <algorithm>
#include <atomic>
#include <chrono>
#include <fcntl.h>
#include <memory>
#include <new>
#include <thread>
#include <unistd.h>

#include "base/error.hpp"
#include "weights/file_descriptor.hpp"
#include "weights/read_ahead.hpp"

namespace hydrajob {
namespace {

using weights::FileDescriptor;
using weights::FileRange;

constexpr std::align_val_t page{4096};

struct Free {
  void operator()(std::byte* p) const { ::operator delete(p, page); }
};
using Pages = std::unique_ptr<std::byte, Free>;

Pages touched_pages(std::size_t bytes) {
  Pages pages(static_cast<std::byte*>(::operator new(bytes, page)));
  std::fill_n(pages.get(), bytes, std::byte{1});  // the first touch is no reading
  return pages;
}

std::vector<FileRange> requests_of(const ShardRanges& shard, std::size_t bytes) {
  std::vector<FileRange> requests;
  for (const FileRange& range : shard.ranges) {
    for (std::size_t at = 0; at < range.bytes; at += bytes)
      requests.push_back({range.offset + at, std::min(bytes, range.bytes - at)});
  }
  return requests;
}

bool any_is_cached(int fd, const ShardRanges& shard) {
  return std::any_of(shard.ranges.begin(), shard.ranges.end(), [&](const FileRange& range) {
    return range.bytes > 0 && weights::is_cached(fd, range.offset);
  });
}

}  // namespace

void read_plainly(const ShardRanges& shard, int threads, std::size_t request_bytes) {
  const FileDescriptor file(shard.file);
  const std::vector<FileRange> requests = requests_of(shard, request_bytes);
  std::atomic<std::size_t> next{0};
  std::atomic<bool> whole{true};
  std::vector<Pages> buffers;
  for (int i = 0; i < threads; ++i) buffers.push_back(touched_pages(request_bytes));
  const auto work = [&](std::byte* buffer) {
    for (std::size_t i = next++; i < requests.size(); i = next++) {
      const auto [offset, bytes] = requests[i];
      if (weights::read_bytes(file.fd(), offset, buffer, bytes).got < bytes) whole = false;
    }
  };
  {
    std::vector<std::jthread> others;
    for (int i = 1; i < threads; ++i) others.emplace_back(work, buffers[static_cast<std::size_t>(i)].get());
    work(buffers.front().get());
  }
  if (!whole) throw UsageError(shard.file + ": cannot be read to its end");
}

// Pages that another rank is just dropping, or that wait in a processor's list, go with a later try.
void drop_from_page_cache(const ShardRanges& shard) {
  constexpr int tries = 50;
  const FileDescriptor file(shard.file);
  ::fdatasync(file.fd());  // what is not on the disk yet would stay
  for (int i = 0; i < tries; ++i) {
    ::posix_fadvise(file.fd(), 0, 0, POSIX_FADV_DONTNEED);
    if (!any_is_cached(file.fd(), shard)) return;
    std::this_thread::sleep_for(std::chrono::milliseconds(20));
  }
  throw UsageError(shard.file +
                   ": stays in the system's cache: it is on a file system in memory, or in use elsewhere");
}

}  // namespace hydrajob
