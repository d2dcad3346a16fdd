// Ranges of a file in memory without a copy: the system's own cache of the file, one range behind the other.
#pragma once

#include <cstddef>
#include <cstdint>
#include <optional>
#include <vector>

namespace hydrajob::weights {

struct FileRange {
  std::uint64_t offset = 0;
  std::size_t bytes = 0;
};

class FileMapping {
 public:
  // Nothing where the ranges do not meet at page boundaries, or the system cannot map the file.
  static std::optional<FileMapping> make(int fd, const std::vector<FileRange>& ranges);
  ~FileMapping();
  FileMapping(FileMapping&& other) noexcept;
  FileMapping& operator=(FileMapping&&) = delete;

  const std::byte* data() const { return data_; }

  // Reads [begin, begin + bytes) in. Returns 0 or errno: EFAULT where the file has ended or cannot be read,
  // which would kill a process that touches it unasked; EINVAL where the system cannot say (Linux
  // before 5.14).
  static int populate(const std::byte* begin, std::size_t bytes);

 private:
  FileMapping(std::byte* data, std::size_t bytes) : data_(data), bytes_(bytes) {}

  std::byte* data_ = nullptr;
  std::size_t bytes_ = 0;
};

}  // namespace hydrajob::weights
