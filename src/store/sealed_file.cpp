#include "store/sealed_file.hpp"

#include <algorithm>
#include <cerrno>
#include <cstring>
#include <fcntl.h>
#include <string>
#include <string_view>
#include <sys/stat.h>
#include <unistd.h>

#include "base/digest.hpp"
#include "base/error.hpp"
#include "base/file.hpp"

namespace hydrajob {
namespace {

constexpr std::string_view mark = "hydrajob-digest ";  // then 16 hexadecimal characters
constexpr std::size_t seal_bytes = 32;

[[noreturn]] void fail(const std::filesystem::path& path, const char* what, int error) {
  throw StoreIoError(path.string() + ": cannot be " + what + ": " + std::strerror(error));
}

class Descriptor {
 public:
  Descriptor(const std::filesystem::path& path, int flags)
      : fd_(::open(path.c_str(), flags | O_CLOEXEC, 0644)) {}
  ~Descriptor() {
    if (fd_ >= 0) ::close(fd_);
  }
  Descriptor(const Descriptor&) = delete;
  Descriptor& operator=(const Descriptor&) = delete;

  operator int() const { return fd_; }
  // Some network file systems tell only now that a write failed.
  int close() {
    const int rc = ::close(fd_);
    fd_ = -1;
    return rc;
  }

 private:
  int fd_;
};

std::string seal_of(const char* content, std::size_t bytes) {
  return std::string(mark) + hex(digest64(content, bytes));
}

}  // namespace

void write_sealed(const std::filesystem::path& path, const std::vector<char>& content) {
  Descriptor file(path, O_WRONLY | O_CREAT | O_TRUNC);
  if (file < 0) fail(path, "created", errno);
  const auto write_all = [&](const char* data, std::size_t bytes) {
    while (bytes > 0) {
      const ssize_t n = ::write(file, data, bytes);
      if (n < 0 && errno == EINTR) continue;
      if (n <= 0) fail(path, "written", n < 0 ? errno : ENOSPC);
      data += n;
      bytes -= static_cast<std::size_t>(n);
    }
  };
  const std::string seal = seal_of(content.data(), content.size());
  write_all(content.data(), content.size());
  write_all(seal.data(), seal.size());
  if (file.close() != 0) fail(path, "written", errno);
}

std::vector<char> read_sealed(const std::filesystem::path& path) {
  if (const std::string kind = other_than_file(path); !kind.empty())
    throw StoreError(path.string() + ": is " + kind + ", expected a file");
  const Descriptor file(path, O_RDONLY);
  struct stat status {};
  if (file < 0 || ::fstat(file, &status) != 0) fail(path, "read", errno);
  std::vector<char> content(static_cast<std::size_t>(status.st_size));
  std::size_t done = 0;
  while (done < content.size()) {
    const ssize_t n = ::read(file, content.data() + done, content.size() - done);
    if (n < 0 && errno == EINTR) continue;
    if (n < 0) fail(path, "read", errno);
    if (n == 0) break;
    done += static_cast<std::size_t>(n);
  }
  content.resize(done);
  if (done < seal_bytes) return content;
  const std::size_t bytes = done - seal_bytes;
  const std::string_view seal(content.data() + bytes, seal_bytes);
  if (!seal.starts_with(mark)) return content;
  if (seal != seal_of(content.data(), bytes)) {
    throw StoreError(path.string() + ": damaged: its digest is " +
                     seal_of(content.data(), bytes).substr(mark.size()) + ", expected " +
                     std::string(seal.substr(mark.size())));
  }
  content.resize(bytes);
  return content;
}

void sync_folder(const std::filesystem::path& folder) {
  const std::filesystem::path path = folder.empty() ? "." : folder;
  const Descriptor file(path, O_RDONLY | O_DIRECTORY);
  // Some network file systems refuse fsync of a folder.
  if (file < 0 || (::fsync(file) != 0 && errno != EINVAL)) fail(path, "synced", errno);
}

void make_lasting_folder(const std::filesystem::path& folder) {
  std::error_code error;
  if (folder.empty() || std::filesystem::is_directory(folder, error)) return;
  make_lasting_folder(folder.parent_path());
  std::filesystem::create_directory(folder, error);
  if (error) throw StoreError(folder.string() + ": cannot be created: " + error.message());
  sync_folder(folder.parent_path());
}

}  // namespace hydrajob
