#include "weights/file_descriptor.hpp"

#include <cerrno>
#include <cstring>
#include <fcntl.h>
#include <unistd.h>

#include "base/error.hpp"

namespace hydrajob::weights {

FileDescriptor::FileDescriptor(const std::string& path) : fd_(::open(path.c_str(), O_RDONLY | O_CLOEXEC)) {
  if (fd_ < 0) throw UsageError(path + ": cannot be opened: " + std::strerror(errno));
}

FileDescriptor::~FileDescriptor() {
  ::close(fd_);
}

ReadBytes read_bytes(int fd, std::uint64_t offset, void* target, std::size_t bytes) {
  ReadBytes result;
  while (result.got < bytes) {
    const ssize_t got = ::pread(fd, static_cast<std::byte*>(target) + result.got, bytes - result.got,
                                static_cast<off_t>(offset + result.got));
    if (got < 0 && errno == EINTR) continue;
    if (got < 0) result.error = errno;
    if (got <= 0) break;
    result.got += static_cast<std::size_t>(got);
  }
  return result;
}

}  // namespace hydrajob::weights
