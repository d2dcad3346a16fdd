#include "base/file.hpp"

#include <cerrno>
#include <cstdio>
#include <cstring>
#include <fcntl.h>
#include <fstream>
#include <iostream>
#include <iterator>
#include <string_view>
#include <system_error>
#include <unistd.h>

#include "base/error.hpp"

namespace hydrajob {
namespace {

[[noreturn]] void fail(const char* what, const std::filesystem::path& path) {
  throw StoreError(path.string() + ": cannot " + what + ": " + std::strerror(errno));
}

void sync_path(const std::filesystem::path& path, int flags) {
  const int fd = ::open(path.c_str(), flags);
  if (fd < 0) fail("open for fsync", path);
  const int rc = ::fsync(fd);
  const int saved = errno;
  ::close(fd);
  errno = saved;
  // Some network file systems refuse fsync of a folder; the rename itself has happened then.
  if (rc != 0 && errno != EINVAL) fail("fsync", path);
}

}  // namespace

std::string read_file(const std::filesystem::path& path) {
  std::error_code error;
  if (std::filesystem::is_directory(path, error)) {
    throw UsageError(path.string() + ": is a folder, expected a file");
  }
  std::ifstream in(path, std::ios::binary);
  if (!in) throw UsageError(path.string() + ": cannot be read: " + std::strerror(errno));
  std::string text{std::istreambuf_iterator<char>(in), std::istreambuf_iterator<char>()};
  if (in.bad()) throw UsageError(path.string() + ": reading it failed");
  return text;
}

bool begins_as_hdf5(const std::filesystem::path& path) {
  constexpr std::string_view signature = "\x89HDF\r\n\x1a\n";
  std::error_code none;
  if (!std::filesystem::is_regular_file(path, none)) return false;
  std::string begin(signature.size(), '\0');
  std::ifstream(path, std::ios::binary).read(begin.data(), static_cast<std::streamsize>(begin.size()));
  return begin == signature;
}

std::string other_than_file(const std::filesystem::path& path) {
  using std::filesystem::file_type;
  std::error_code error;
  switch (std::filesystem::status(path, error).type()) {
    case file_type::directory:
      return "a folder";
    case file_type::block:
    case file_type::character:
      return "a device";
    case file_type::fifo:
      return "a pipe";
    case file_type::socket:
      return "a socket";
    default:
      return {};
  }
}

bool is_there(const std::filesystem::path& path) {
  std::error_code error;
  const bool there = std::filesystem::exists(path, error);
  if (error) throw StoreError(path.string() + ": cannot be read: " + error.message());
  return there;
}

void flush_output() {
  errno = 0;
  const bool printed = static_cast<bool>(std::cout.flush());
  if (std::fflush(stdout) == 0 && printed && !std::ferror(stdout)) return;
  throw StoreError(std::string("standard output cannot be written: ") +
                   (errno != 0 ? std::strerror(errno) : "part of it is lost"));
}

void publish_file(const std::filesystem::path& temporary, const std::filesystem::path& target) {
  sync_path(temporary, O_RDONLY);
  if (::rename(temporary.c_str(), target.c_str()) != 0) fail("rename", temporary);
  const auto folder = target.parent_path();
  sync_path(folder.empty() ? "." : folder, O_RDONLY | O_DIRECTORY);
}

void publish_new_file(const std::filesystem::path& temporary, const std::filesystem::path& target) {
  sync_path(temporary, O_RDONLY);
  bool there = ::renameat2(AT_FDCWD, temporary.c_str(), AT_FDCWD, target.c_str(), RENAME_NOREPLACE) == 0;
  // Network file systems know no such rename, but links, which are refused too where the name is taken.
  if (!there && errno != EEXIST) there = ::link(temporary.c_str(), target.c_str()) == 0;
  const int error = errno;
  ::unlink(temporary.c_str());
  if (!there) throw StoreError(target.string() + ": cannot be created: " + std::strerror(error));
  const auto folder = target.parent_path();
  sync_path(folder.empty() ? "." : folder, O_RDONLY | O_DIRECTORY);
}

}  // namespace hydrajob
