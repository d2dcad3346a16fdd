#include "weights/write_journal.hpp"

#include <cerrno>
#include <cstring>
#include <fcntl.h>
#include <sstream>
#include <sys/file.h>
#include <sys/stat.h>
#include <unistd.h>
#include <utility>

#include <fmt/format.h>

#include "base/digest.hpp"
#include "base/error.hpp"
#include "base/file.hpp"
#include "store/sealed_file.hpp"

namespace hydrajob::weights {
namespace {

// "<what> <name> <number>… #<digest of all before>\n"
std::string line_of(const char* what, const std::string& name, const std::vector<std::uint64_t>& numbers) {
  std::string line = fmt::format("{} {} ", what, name);
  for (const std::uint64_t number : numbers) line += hex(number) + ' ';
  return line + '#' + hex(digest64(line.data(), line.size())) + '\n';
}

bool is_whole(const std::string& line) {
  const std::size_t mark = line.rfind('#');
  return mark != std::string::npos && line.substr(mark + 1) == hex(digest64(line.data(), mark));
}

}  // namespace

WriteJournal::WriteJournal(const std::filesystem::path& file, std::string path)
    : file_(file), path_(std::move(path)) {
  open_locked();
  read();
}

WriteJournal::~WriteJournal() {
  ::close(fd_);
}

void WriteJournal::fail(const char* what) const {
  throw UsageError(
      fmt::format("{}: its journal {} cannot be {}: {}", path_, file_.string(), what, std::strerror(errno)));
}

// One that another process removed meanwhile locks nothing: then once more.
void WriteJournal::open_locked() {
  for (;;) {
    fd_ = ::open(file_.c_str(), O_RDWR | O_CREAT | O_APPEND | O_CLOEXEC, 0644);
    if (fd_ < 0) fail("opened");
    // File systems without locks are no reason to write nothing.
    if (::flock(fd_, LOCK_EX | LOCK_NB) != 0 && errno == EWOULDBLOCK) {
      ::close(fd_);
      throw UsageError(path_ + ": another process is writing it");
    }
    struct stat status {};
    if (::fstat(fd_, &status) == 0 && status.st_nlink > 0) return;
    ::close(fd_);
  }
}

// Up to the first line that is not whole, which is cut off: a kill tore it.
void WriteJournal::read() {
  const std::string text = read_file(file_);
  std::size_t begin = 0;
  for (std::size_t end = text.find('\n'); end != std::string::npos; end = text.find('\n', begin)) {
    const std::string line = text.substr(begin, end - begin);
    if (!is_whole(line)) break;
    take(line);
    begin = end + 1;
  }
  if (begin < text.size() && ::ftruncate(fd_, static_cast<off_t>(begin)) != 0) fail("written");
}

void WriteJournal::take(const std::string& line) {
  std::istringstream words(line.substr(0, line.rfind('#')));
  std::string what, name;
  words >> what >> name;
  if (what == "begun") identity_ = name;
  if (what != "tensor") return;
  keeps_tensors_ = true;
  std::vector<std::uint64_t>& checksums = tensors_[name];
  checksums.clear();
  for (std::string word; words >> word;) checksums.push_back(std::stoull(word, nullptr, 16));
}

const std::vector<std::uint64_t>* WriteJournal::find(const std::string& tensor) const {
  const auto found = tensors_.find(tensor);
  return found == tensors_.end() ? nullptr : &found->second;
}

void WriteJournal::clear() {
  identity_.clear();
  tensors_.clear();
  noted_.clear();
  keeps_tensors_ = false;
  if (::ftruncate(fd_, 0) != 0 || ::fsync(fd_) != 0) fail("written");
}

void WriteJournal::begin(const std::string& identity) {
  identity_ = identity;
  write(line_of("begun", identity, {}));
  const std::filesystem::path folder = file_.parent_path();
  sync_folder(folder.empty() ? "." : folder);  // its name lasts too
}

void WriteJournal::note(const std::string& tensor, const std::vector<std::uint64_t>& checksums) {
  noted_ += line_of("tensor", tensor, checksums);
  tensors_[tensor] = checksums;
}

std::string WriteJournal::take_noted() {
  return std::exchange(noted_, {});
}

void WriteJournal::append(const std::string& lines) {
  write(lines);
  if (!lines.empty()) keeps_tensors_ = true;
}

void WriteJournal::write(const std::string& lines) const {
  for (std::size_t done = 0; done < lines.size();) {
    const ssize_t wrote = ::write(fd_, lines.data() + done, lines.size() - done);
    if (wrote < 0 && errno != EINTR) fail("written");
    if (wrote > 0) done += static_cast<std::size_t>(wrote);
  }
  if (::fdatasync(fd_) != 0) fail("brought to the disk");
}

void WriteJournal::remove() {
  if (::unlink(file_.c_str()) != 0) fail("removed");
}

}  // namespace hydrajob::weights
