#include "weights/output_file.hpp"

#include <algorithm>
#include <cerrno>
#include <cstring>
#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>
#include <utility>

#include <fmt/format.h>

#include "base/error.hpp"

namespace hydrajob::weights {
namespace {

// Larger ones take up to twice the processor time where the system's file cache gives each a page of its
// size, which is further from being in any cache, and in a virtual machine from being in memory.
constexpr std::size_t request_bytes = 256 << 10;

}  // namespace

OutputFile::OutputFile(const std::filesystem::path& file, std::string path)
    : path_(std::move(path)), fd_(::open(file.c_str(), O_RDWR | O_CREAT | O_CLOEXEC, 0644)) {
  if (fd_ < 0) fail("created");
}

OutputFile::~OutputFile() {
  ::close(fd_);
}

void OutputFile::fail(const char* what) const {
  throw UsageError(fmt::format("{}: cannot be {}: {}", path_, what, std::strerror(errno)));
}

std::uint64_t OutputFile::bytes() const {
  struct stat status {};
  if (::fstat(fd_, &status) != 0) fail("read");
  return static_cast<std::uint64_t>(status.st_size);
}

void OutputFile::resize(std::uint64_t bytes) const {
  if (::ftruncate(fd_, static_cast<off_t>(bytes)) != 0) fail("written");
}

void OutputFile::write(const void* data, std::size_t bytes, std::uint64_t offset) const {
  for (std::size_t done = 0; done < bytes;) {
    const ssize_t wrote = ::pwrite(fd_, static_cast<const std::byte*>(data) + done,
                                   std::min(bytes - done, request_bytes), static_cast<off_t>(offset + done));
    if (wrote < 0 && errno != EINTR) fail("written");
    if (wrote > 0) done += static_cast<std::size_t>(wrote);
  }
}

void OutputFile::write_out(std::uint64_t offset, std::size_t bytes) const {
  // Not every file system knows it, and none needs it.
  static_cast<void>(
      ::sync_file_range(fd_, static_cast<off_t>(offset), static_cast<off_t>(bytes), SYNC_FILE_RANGE_WRITE));
}

void OutputFile::sync() const {
  if (::fdatasync(fd_) != 0) fail("brought to the disk");
}

}  // namespace hydrajob::weights
