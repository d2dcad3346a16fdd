// A file open for reading, and plain requests to it.
#pragma once

#include <cstddef>
#include <cstdint>
#include <string>

namespace hydrajob::weights {

class FileDescriptor {
 public:
  // Throws UsageError.
  explicit FileDescriptor(const std::string& path);
  ~FileDescriptor();
  FileDescriptor(const FileDescriptor&) = delete;
  FileDescriptor& operator=(const FileDescriptor&) = delete;
  int fd() const { return fd_; }

 private:
  int fd_;
};

// How far a request got: all of it, or up to an error or the file's end.
struct ReadBytes {
  std::size_t got = 0;
  int error = 0;  // errno; 0 at the file's end
};
ReadBytes read_bytes(int fd, std::uint64_t offset, void* target, std::size_t bytes);

}  // namespace hydrajob::weights
