#include "store/lease.hpp"

#include <algorithm>
#include <cerrno>
#include <chrono>
#include <cstdlib>
#include <cstring>
#include <fcntl.h>
#include <fstream>
#include <iterator>
#include <sstream>
#include <sys/stat.h>
#include <system_error>
#include <unistd.h>
#include <vector>

#include <fmt/format.h>

#include "base/digest.hpp"
#include "base/error.hpp"
#include "base/log.hpp"
#include "base/process.hpp"

namespace hydrajob {
namespace {

using Clock = std::chrono::steady_clock;
using namespace std::chrono_literals;

constexpr auto heartbeat_every = 5s;
constexpr auto poll_every = 200ms;
constexpr double stale_after_s = 60;
static_assert(Lease::sure_wait_s > stale_after_s + 2 * heartbeat_every.count());

std::string read_text(const std::filesystem::path& path) {
  std::ifstream in(path);
  return {std::istreambuf_iterator<char>(in), std::istreambuf_iterator<char>()};
}

// "<path>.<what>.<space>.<pid>": no other process's.
std::string name_for(const std::filesystem::path& path, const char* what) {
  return fmt::format("{}.{}.{}.{}", path.string(), what, process_space(), ::getpid());
}

// What a lease says: "<space> <pid> <start>\n", as base/process.hpp names them.
struct Owner {
  std::string space, start;
  long pid = 0;
  bool whole = false;

  explicit Owner(const std::string& text) {
    std::istringstream words(text);
    whole = static_cast<bool>(words >> space >> pid >> start);
  }
  std::string host() const { return space.substr(0, space.rfind('.')); }
  bool in_sight() const { return whole && space == process_space(); }
};

// Time since the last heartbeat by the file system's own clock: a file server's may differ from this host's.
double age_s(const std::filesystem::path& path) {
  const std::string probe = name_for(path, "clock");
  struct stat now {
  }, beat{};
  const int fd = ::open(probe.c_str(), O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0644);
  const bool dated = fd >= 0 && ::futimens(fd, nullptr) == 0 && ::fstat(fd, &now) == 0;
  if (fd >= 0) ::close(fd);
  ::unlink(probe.c_str());
  if (!dated || ::stat(path.c_str(), &beat) != 0) return 0;
  return std::difftime(now.st_mtime, beat.st_mtime);
}

bool stale(const std::filesystem::path& path, const Owner& owner) {
  if (owner.in_sight()) return process_start(owner.pid) != owner.start;
  return age_s(path) > stale_after_s;  // out of sight, or torn
}

std::string describe(const std::filesystem::path& path, const Owner& owner) {
  return fmt::format("{}: held by process {} on {}, last seen {:.0f} s ago", path.string(), owner.pid,
                     owner.host(), age_s(path));
}

// On disk when it returns: after a loss of power an empty lease would name nobody. False sets errno.
bool write_lasting(const std::string& path, const std::string& text, int flags) {
  const int fd = ::open(path.c_str(), O_WRONLY | O_CREAT | O_CLOEXEC | flags, 0644);
  if (fd < 0) return false;
  errno = ENOSPC;  // what a write cut short means
  const bool written =
      ::write(fd, text.data(), text.size()) == static_cast<ssize_t>(text.size()) && ::fdatasync(fd) == 0;
  const int error = errno;
  ::close(fd);
  errno = error;
  return written;
}

// Where the file system has no hard links. A half-written lease is taken for one of somebody out of sight.
bool create_in_place(const std::filesystem::path& path, const std::string& owner) {
  if (write_lasting(path, owner, O_EXCL)) return true;
  if (errno == EEXIST) return false;
  throw StoreError(path.string() + ": cannot be created: " + std::strerror(errno));
}

// Writes the lease under a name of its own and links it in place: the file is never seen half written.
bool create_exclusively(const std::filesystem::path& path, const std::string& owner) {
  const std::string temporary = name_for(path, "new");
  if (!write_lasting(temporary, owner, O_TRUNC)) {
    const int error = errno;
    ::unlink(temporary.c_str());
    throw StoreError(path.string() + ": cannot be written: " + std::strerror(error));
  }
  const int rc = ::link(temporary.c_str(), path.c_str());
  const int error = errno;
  ::unlink(temporary.c_str());
  if (rc == 0) return true;
  if (error == EEXIST) return false;
  if (error == EPERM || error == EOPNOTSUPP || error == ENOSYS) return create_in_place(path, owner);
  throw StoreError(path.string() + ": cannot be created: " + std::strerror(error));
}

// The right to replace a lease, or the claim of a process that died with it: one file for each, by its text.
std::filesystem::path claim_on(const std::filesystem::path& lease, const std::string& text) {
  return fmt::format("{}.claim.{:016x}", lease.string(), digest64(text.data(), text.size()));
}

// Of all that see the same stale lease one comes to hold the claim on it. A claim whose process died is
// itself claimed, and so on. Empty where a living process has it.
std::filesystem::path claim(const std::filesystem::path& lease, std::string text, const std::string& owner) {
  constexpr int longest_chain = 64;
  for (int links = 0; links < longest_chain; ++links) {
    std::filesystem::path path = claim_on(lease, text);
    if (create_exclusively(path, owner)) return path;
    const std::string rival = read_text(path);
    if (rival.empty() || rival == text || !stale(path, Owner(rival))) return {};
    text = rival;
  }
  return {};
}

// Puts `owner` in the place of the stale lease `text`; false when another was faster. The lease is never gone
// in between, so nobody takes it for free. Claims go only after the lease is replaced: who makes one anew
// finds another lease than the one it was made for.
bool replace_stale(const std::filesystem::path& lease, const std::string& text, const std::string& owner) {
  const std::filesystem::path mine = claim(lease, text, owner);
  if (mine.empty()) return false;
  const std::string temporary = name_for(lease, "new");
  const bool replaced = read_text(lease) == text && write_lasting(temporary, owner, O_TRUNC) &&
                        ::rename(temporary.c_str(), lease.c_str()) == 0;
  if (!replaced) ::unlink(temporary.c_str());
  ::unlink(mine.c_str());
  return replaced;
}

// Whose process is dead: files that name_for named, and claims.
bool is_litter(const std::filesystem::path& lease, const std::filesystem::path& path) {
  const std::string name = path.filename().string();
  if (name.starts_with(lease.filename().string() + ".claim.")) return stale(path, Owner(read_text(path)));
  const std::size_t pid_at = name.rfind('.') + 1;
  const bool in_sight = name.substr(0, pid_at).ends_with(fmt::format(".{}.", process_space()));
  return in_sight ? process_start(std::atol(name.c_str() + pid_at)).empty() : age_s(path) > stale_after_s;
}

// Files beside the lease, of processes that died before they removed them.
void remove_litter(const std::filesystem::path& lease) {
  std::vector<std::filesystem::path> litter;
  std::error_code none;
  for (std::filesystem::directory_iterator at(lease.parent_path(), none), end; at != end;
       at.increment(none)) {
    const bool beside = at->path().filename().string().starts_with(lease.filename().string() + '.');
    if (beside && is_litter(lease, at->path())) litter.push_back(at->path());
  }
  for (const auto& path : litter) std::filesystem::remove(path, none);
}

}  // namespace

Lease::Lease(const std::filesystem::path& folder, double wait_s)
    : path_(folder / "lease"),
      owner_(fmt::format("{} {} {}\n", process_space(), ::getpid(), process_start(::getpid()))) {
  const auto give_up = Clock::now() + std::chrono::duration<double>(wait_s);
  bool said = false;
  while (!take()) {
    const bool over = Clock::now() >= give_up;
    if (over || !said) {
      const std::string holder = describe(path_, Owner(read_text(path_)));
      if (over) throw StoreError(holder);
      log::info(fmt::format("{}; waiting up to {:.0f} s", holder, wait_s));
      said = true;
    }
    std::this_thread::sleep_for(poll_every);
  }
  remove_litter(path_);
  heartbeat_ = std::thread([this] { beat(); });
}

Lease::~Lease() {
  {
    const std::lock_guard lock(mutex_);
    ending_ = true;
  }
  wake_.notify_one();
  heartbeat_.join();
  if (read_text(path_) == owner_) ::unlink(path_.c_str());
}

// A lease that is gone, with nobody else's in its place, was deleted by hand.
bool Lease::held() const {
  return read_text(path_) == owner_ || create_exclusively(path_, owner_);
}

bool Lease::take() {
  std::error_code none;
  if (!std::filesystem::exists(path_, none) && create_exclusively(path_, owner_)) return true;
  const std::string owner = read_text(path_);
  return stale(path_, Owner(owner)) && replace_stale(path_, owner, owner_);
}

void Lease::beat() {
  std::unique_lock lock(mutex_);
  while (!wake_.wait_for(lock, heartbeat_every, [this] { return ending_; })) {
    try {
      if (held()) {
        ::utimensat(AT_FDCWD, path_.c_str(), nullptr, 0);
      } else {
        lost_ = true;
      }
    } catch (const StoreError&) {
      // The folder is gone or full: compact() finds out and says so.
    }
  }
}

}  // namespace hydrajob
