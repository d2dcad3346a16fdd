// What a fuzzer's target is made of: the input as a file, and what is expected of a refusal.
#pragma once

#include <cstddef>
#include <cstdint>
#include <cstdlib>
#include <filesystem>
#include <string>
#include <string_view>
#include <unistd.h>

namespace hydrajob::test {

// In memory where the system has a folder there: thousands a second are made and gone. HDF5 opens nothing
// that has no name.
class InputFile {
 public:
  InputFile(const void* data, std::size_t bytes) {
    const std::filesystem::path shared = "/dev/shm";
    const auto folder = std::filesystem::exists(shared) ? shared : std::filesystem::temp_directory_path();
    path_ = (folder / "hydrajob-fuzz-XXXXXX").string();
    const int fd = ::mkstemp(path_.data());
    if (fd < 0 || ::write(fd, data, bytes) != static_cast<ssize_t>(bytes)) std::abort();
    ::close(fd);
  }
  ~InputFile() { ::unlink(path_.c_str()); }
  InputFile(const InputFile&) = delete;
  InputFile& operator=(const InputFile&) = delete;

  const std::string& path() const { return path_; }

 private:
  std::string path_;
};

// As a message is to be, whatever stands in a file.
inline bool is_one_line(std::string_view message) {
  return message.find_first_of("\n\r\x1b") == std::string_view::npos;
}

// The target: whether the file is read, all of it; else it was refused. Aborts where neither is so.
bool is_read(const std::uint8_t* data, std::size_t size);

}  // namespace hydrajob::test
