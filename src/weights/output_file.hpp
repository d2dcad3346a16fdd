// A file that is written by place, beside whatever is in it.
#pragma once

#include <cstddef>
#include <cstdint>
#include <filesystem>
#include <string>

namespace hydrajob::weights {

// Errors are UsageErrors that name `path`, the file's place once it is whole.
class OutputFile {
 public:
  // Opens what is there, or creates it.
  OutputFile(const std::filesystem::path& file, std::string path);
  ~OutputFile();
  OutputFile(const OutputFile&) = delete;
  OutputFile& operator=(const OutputFile&) = delete;

  std::uint64_t bytes() const;
  void resize(std::uint64_t bytes) const;
  void write(const void* data, std::size_t bytes, std::uint64_t offset) const;
  // Asks the system to begin with bringing these to the disk, so that sync() has little left to wait for.
  void write_out(std::uint64_t offset, std::size_t bytes) const;
  // All of it is on the disk when this returns.
  void sync() const;

 private:
  [[noreturn]] void fail(const char* what) const;

  std::string path_;
  int fd_;
};

}  // namespace hydrajob::weights
