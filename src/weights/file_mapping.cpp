#include "weights/file_mapping.hpp"

#include <cerrno>
#include <sys/mman.h>
#include <unistd.h>
#include <utility>

namespace hydrajob::weights {
namespace {

constexpr int populate_read = 22;  // MADV_POPULATE_READ, which C libraries older than the kernel do not name

std::size_t page_size() {
  static const auto bytes = static_cast<std::size_t>(::sysconf(_SC_PAGESIZE));
  return bytes;
}

bool meet_at_pages(const std::vector<FileRange>& ranges) {
  for (std::size_t i = 0; i < ranges.size(); ++i) {
    if (ranges[i].bytes == 0 || ranges[i].offset % page_size() != 0) return false;
    if (i + 1 < ranges.size() && ranges[i].bytes % page_size() != 0) return false;
  }
  return !ranges.empty();
}

// Ranges that also lie one behind the other in the file are one.
std::vector<FileRange> joined(const std::vector<FileRange>& ranges) {
  std::vector<FileRange> all;
  for (const FileRange& range : ranges) {
    if (!all.empty() && all.back().offset + all.back().bytes == range.offset) {
      all.back().bytes += range.bytes;
    } else {
      all.push_back(range);
    }
  }
  return all;
}

}  // namespace

std::optional<FileMapping> FileMapping::make(int fd, const std::vector<FileRange>& ranges) {
  if (!meet_at_pages(ranges)) return std::nullopt;
  std::size_t bytes = 0;
  for (const FileRange& range : ranges) bytes += range.bytes;
  void* place = ::mmap(nullptr, bytes, PROT_NONE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
  if (place == MAP_FAILED) return std::nullopt;
  FileMapping mapping(static_cast<std::byte*>(place), bytes);
  std::byte* target = mapping.data_;
  for (const FileRange& range : joined(ranges)) {
    const void* mapped =
        ::mmap(target, range.bytes, PROT_READ, MAP_SHARED | MAP_FIXED, fd, static_cast<off_t>(range.offset));
    if (mapped == MAP_FAILED) return std::nullopt;
    target += range.bytes;
  }
  return mapping;
}

FileMapping::~FileMapping() {
  if (data_ != nullptr) ::munmap(data_, bytes_);
}

FileMapping::FileMapping(FileMapping&& other) noexcept
    : data_(std::exchange(other.data_, nullptr)), bytes_(std::exchange(other.bytes_, 0)) {}

int FileMapping::populate(const std::byte* begin, std::size_t bytes) {
  const auto address = reinterpret_cast<std::uintptr_t>(begin);
  const std::uintptr_t first = address / page_size() * page_size();
  const std::uintptr_t end = address + bytes;
  while (::madvise(reinterpret_cast<void*>(first), end - first, populate_read) != 0) {
    if (errno != EINTR && errno != EAGAIN) return errno;
  }
  return 0;
}

}  // namespace hydrajob::weights
