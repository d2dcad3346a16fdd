#include "store/stop_at_call.hpp"

#include <algorithm>
#include <cerrno>
#include <csignal>
#include <cstdarg>
#include <cstdlib>
#include <fcntl.h>
#include <functional>
#include <map>
#include <mutex>
#include <string>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/uio.h>
#include <unistd.h>
#include <utility>
#include <vector>

namespace hydrajob::test {
namespace {

using Inode = std::pair<dev_t, ino_t>;

off_t size_of(int fd) {
  struct stat status {};
  ::fstat(fd, &status);
  return status.st_size;
}

// What a loss of power takes: the end of a file behind what was synced, and changes of names in a folder
// since that folder was synced.
class Volatile {
 public:
  void set_spare(const std::filesystem::path& spare) { spare_ = spare.string(); }

  void wrote(int fd, off_t size_before) {
    const auto [at, fresh] = files_.try_emplace(inode_of(fd));
    if (!fresh) return;
    const std::string path = "/proc/self/fd/" + std::to_string(fd);
    at->second = {static_cast<int>(::syscall(SYS_openat, AT_FDCWD, path.c_str(), O_RDWR)), size_before};
  }

  // What stands where something is to be written.
  void overwrites(int fd, off_t offset, std::size_t bytes) {
    wrote(fd, size_of(fd));
    std::string before(bytes, '\0');
    const File& file = files_.at(inode_of(fd));
    const ssize_t got = ::pread(file.fd, before.data(), bytes, offset);
    before.resize(got > 0 ? static_cast<std::size_t>(got) : 0);
    overwritten_.push_back({inode_of(fd), file.fd, offset, std::move(before)});
  }

  void synced(int fd) {
    struct stat status {};
    ::fstat(fd, &status);
    if (S_ISDIR(status.st_mode)) {
      const Inode folder{status.st_dev, status.st_ino};
      std::erase_if(names_, [&](const Name& name) { return name.folder == folder; });
    } else if (const auto at = files_.find({status.st_dev, status.st_ino}); at != files_.end()) {
      at->second.lasting_bytes = status.st_size;
      std::erase_if(overwritten_, [&](const Overwritten& part) { return part.inode == at->first; });
    }
  }

  void changed_name(const std::string& path, std::function<void()> undo) {
    struct stat status {};
    const std::string folder = std::filesystem::path(path).parent_path().string();
    ::stat(folder.empty() ? "." : folder.c_str(), &status);
    names_.push_back({{status.st_dev, status.st_ino}, std::move(undo)});
  }

  // Keeps what `path` names; the returned function brings it back. Does nothing where nothing is.
  std::function<void()> keep(const std::string& path) {
    const std::string kept = spare_ + "/" + std::to_string(n_kept_++);
    if (::syscall(SYS_link, path.c_str(), kept.c_str()) != 0) return [] {};
    return [=] { ::syscall(SYS_rename, kept.c_str(), path.c_str()); };
  }

  void lose(bool names) {
    for (auto part = overwritten_.rbegin(); part != overwritten_.rend(); ++part) {
      if (::syscall(SYS_pwrite64, part->fd, part->before.data(), part->before.size(), part->offset) < 0)
        std::abort();
    }
    for (const auto& [inode, file] : files_) {
      if (::syscall(SYS_ftruncate, file.fd, file.lasting_bytes) != 0) std::abort();
    }
    if (!names) return;
    for (auto name = names_.rbegin(); name != names_.rend(); ++name) name->undo();
  }

 private:
  struct File {
    int fd = -1;
    off_t lasting_bytes = 0;
  };
  struct Overwritten {
    Inode inode;
    int fd = -1;
    off_t offset = 0;
    std::string before;
  };
  struct Name {
    Inode folder;
    std::function<void()> undo;
  };

  static Inode inode_of(int fd) {
    struct stat status {};
    ::fstat(fd, &status);
    return {status.st_dev, status.st_ino};
  }

  std::string spare_;
  int n_kept_ = 0;
  std::map<Inode, File> files_;
  std::vector<Overwritten> overwritten_;
  std::vector<Name> names_;
};

int die_at = 0;  // 0: not armed
int counted = 0;
Death manner = Death::killed;
std::recursive_mutex mutex;

Volatile& unsynced() {
  static Volatile state;
  return state;
}

[[noreturn]] void die() {
  if (manner == Death::data_lost || manner == Death::all_lost) unsynced().lose(manner == Death::all_lost);
  ::kill(::getpid(), SIGKILL);
  for (;;) ::pause();
}

bool armed() {
  return die_at > 0;
}

// True where a write is to be cut short before the process dies.
bool count_call(bool is_write) {
  if (++counted != die_at) return false;
  if (is_write && manner == Death::torn) return true;
  die();
}

bool is_file(int fd) {
  struct stat status {};
  return ::fstat(fd, &status) == 0 && S_ISREG(status.st_mode);
}

ssize_t counted_write(int fd, const char* data, std::size_t bytes) {
  const std::lock_guard lock(mutex);
  const bool torn = count_call(true);
  unsynced().wrote(fd, size_of(fd));
  const ssize_t written = ::syscall(SYS_write, fd, data, torn ? bytes / 2 : bytes);
  if (torn) die();
  return written;
}

ssize_t counted_write_at(int fd, const char* data, std::size_t bytes, off_t offset) {
  const std::lock_guard lock(mutex);
  const bool torn = count_call(true);
  unsynced().overwrites(fd, offset, bytes);
  const ssize_t written = ::syscall(SYS_pwrite64, fd, data, torn ? bytes / 2 : bytes, offset);
  if (torn) die();
  return written;
}

int counted_resize(int fd, off_t bytes) {
  const std::lock_guard lock(mutex);
  count_call(false);
  unsynced().wrote(fd, size_of(fd));
  return static_cast<int>(::syscall(SYS_ftruncate, fd, bytes));
}

int counted_sync(int fd, long number) {
  const std::lock_guard lock(mutex);
  if (armed()) count_call(false);
  const int rc = static_cast<int>(::syscall(number, fd));
  if (armed() && rc == 0) unsynced().synced(fd);
  return rc;
}

// A call that makes, moves or removes a name in the folder of `path`; `undo` puts it back as it was.
int counted_name(const std::string& path, const std::function<std::function<void()>()>& prepare_undo,
                 const std::function<long()>& call) {
  if (!armed()) return static_cast<int>(call());
  const std::lock_guard lock(mutex);
  count_call(false);
  auto undo = prepare_undo();
  const int rc = static_cast<int>(call());
  const int error = errno;
  if (rc >= 0) unsynced().changed_name(path, std::move(undo));
  errno = error;
  return rc;
}

std::function<void()> unlink_later(std::string path) {
  return [path = std::move(path)] { ::syscall(SYS_unlink, path.c_str()); };
}

}  // namespace

void die_at_call(int nth, Death death, const std::filesystem::path& spare) {
  unsynced().set_spare(spare);
  manner = death;
  die_at = nth;
}

}  // namespace hydrajob::test

// In place of the C library's: the linker takes these for the program and for every library it loads.
extern "C" {

using namespace hydrajob::test;

int open(const char* path, int flags, ...) {
  mode_t mode = 0;
  if ((flags & O_CREAT) != 0) {
    va_list arguments;
    va_start(arguments, flags);
    mode = va_arg(arguments, mode_t);
    va_end(arguments);
  }
  const auto call = [&] { return ::syscall(SYS_openat, AT_FDCWD, path, flags, mode); };
  if ((flags & O_CREAT) == 0 || ::access(path, F_OK) == 0) return static_cast<int>(call());
  return counted_name(
      path, [&] { return unlink_later(path); }, call);
}

ssize_t write(int fd, const void* data, std::size_t bytes) {
  if (!armed() || !is_file(fd)) return ::syscall(SYS_write, fd, data, bytes);
  return counted_write(fd, static_cast<const char*>(data), bytes);
}

ssize_t writev(int fd, const iovec* parts, int n) {
  if (!armed() || !is_file(fd)) return ::syscall(SYS_writev, fd, parts, n);
  std::string whole;
  for (int i = 0; i < n; ++i) whole.append(static_cast<const char*>(parts[i].iov_base), parts[i].iov_len);
  return counted_write(fd, whole.data(), whole.size());
}

ssize_t pwrite(int fd, const void* data, std::size_t bytes, off_t offset) {
  if (!armed() || !is_file(fd)) return ::syscall(SYS_pwrite64, fd, data, bytes, offset);
  return counted_write_at(fd, static_cast<const char*>(data), bytes, offset);
}

// The same on 64-bit systems, under the name that HDF5 knows it by.
ssize_t pwrite64(int fd, const void* data, std::size_t bytes, off64_t offset) {
  return pwrite(fd, data, bytes, offset);
}

int ftruncate(int fd, off_t bytes) noexcept {
  if (!armed() || !is_file(fd)) return static_cast<int>(::syscall(SYS_ftruncate, fd, bytes));
  return counted_resize(fd, bytes);
}

int ftruncate64(int fd, off64_t bytes) noexcept {
  return ftruncate(fd, bytes);
}

int fsync(int fd) {
  return counted_sync(fd, SYS_fsync);
}

int fdatasync(int fd) {
  return counted_sync(fd, SYS_fdatasync);
}

int rename(const char* from, const char* to) noexcept {
  return counted_name(
      to,
      [&] {
        return [back = unsynced().keep(to), from = std::string(from), to = std::string(to)] {
          ::syscall(SYS_rename, to.c_str(), from.c_str());
          back();
        };
      },
      [&] { return ::syscall(SYS_rename, from, to); });
}

int link(const char* from, const char* to) noexcept {
  return counted_name(
      to, [&] { return unlink_later(to); }, [&] { return ::syscall(SYS_link, from, to); });
}

int unlink(const char* path) noexcept {
  return counted_name(
      path, [&] { return unsynced().keep(path); }, [&] { return ::syscall(SYS_unlink, path); });
}

int remove(const char* path) noexcept {
  struct stat status {};
  if (::lstat(path, &status) == 0 && S_ISDIR(status.st_mode)) return ::rmdir(path);
  return ::unlink(path);
}

int mkdir(const char* path, mode_t mode) noexcept {
  return counted_name(
      path, [&] { return [path = std::string(path)] { ::syscall(SYS_rmdir, path.c_str()); }; },
      [&] { return ::syscall(SYS_mkdir, path, mode); });
}
}
