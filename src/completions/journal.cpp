#include "completions/journal.hpp"

#include <cerrno>
#include <cstring>
#include <fcntl.h>
#include <string_view>
#include <sys/file.h>
#include <sys/stat.h>
#include <unistd.h>
#include <utility>

#include <fmt/format.h>

#include "base/digest.hpp"
#include "base/error.hpp"
#include "base/file.hpp"
#include "base/json_text.hpp"
#include "store/sealed_file.hpp"

namespace hydrajob {
namespace {

using nlohmann::json;

constexpr std::string_view beginning = R"({"job":")";

// "<object> #<digest of all before>\n"
std::string line_of(const json& object) {
  const std::string text = object.dump(-1, ' ', false, json::error_handler_t::replace) + ' ';
  return text + '#' + hex(digest64(text.data(), text.size())) + '\n';
}

// The object of a whole line, without its line break; empty where it is not whole.
std::string object_in(const std::string& line) {
  const std::size_t mark = line.rfind('#');
  if (mark == std::string::npos || line.substr(mark + 1) != hex(digest64(line.data(), mark))) return {};
  return line.substr(0, mark);
}

json to_json(const Completion& completion) {
  return {{"number", completion.number},
          {"finish_reason", to_string(completion.reason)},
          {"tokens", completion.tokens},
          {"text", completion.text}};
}

}  // namespace

CompletionJournal::CompletionJournal(std::filesystem::path file, const std::string& job)
    : file_(std::move(file)) {
  open_locked();
  try {
    read_lines(job);
  } catch (...) {
    ::close(fd_);
    throw;
  }
}

CompletionJournal::~CompletionJournal() {
  ::close(fd_);
}

void CompletionJournal::fail(const char* what) const {
  throw StoreError(fmt::format("{}: cannot be {}: {}", file_.string(), what, std::strerror(errno)));
}

// One that another process removed meanwhile locks nothing: then once more.
void CompletionJournal::open_locked() {
  for (;;) {
    fd_ = ::open(file_.c_str(), O_RDWR | O_CREAT | O_APPEND | O_CLOEXEC, 0644);
    if (fd_ < 0) fail("opened");
    // File systems without locks are no reason to write nothing.
    if (::flock(fd_, LOCK_EX | LOCK_NB) != 0 && errno == EWOULDBLOCK) {
      ::close(fd_);
      throw UsageError(file_.string() + ": another process is writing it");
    }
    struct stat status {};
    if (::fstat(fd_, &status) == 0 && status.st_nlink > 0) return;
    ::close(fd_);
  }
}

void CompletionJournal::read_lines(const std::string& job) {
  const std::string text = read_file(file_);
  if (!text.starts_with(beginning) && !beginning.starts_with(text))
    throw UsageError(file_.string() + ": is no journal of completions: expected one, or no file");
  std::size_t begin = 0;
  for (std::size_t end = text.find('\n'); end != std::string::npos; end = text.find('\n', begin)) {
    const std::string object = object_in(text.substr(begin, end - begin));
    const std::size_t next = end + 1;
    if (object.empty()) {  // a disk that lost it; its completion is done once more
      if (begin == 0)
        throw UsageError(file_.string() + ": its first line is damaged: expected that it is removed");
      begin = next;
      continue;
    }
    const json line = parse_json_object(object, file_.string());
    if (begin == 0 && line.value("job", "") != job) {
      throw UsageError(file_.string() +
                       ": holds completions of another model, other prompts or other options: expected "
                       "those, or another -o, or that it is removed");
    }
    if (begin > 0) places_[line.at("number")] = {static_cast<std::int64_t>(begin), object.size()};
    begin = next;
  }
  end_ = static_cast<std::int64_t>(begin);
  if (begin < text.size() && ::ftruncate(fd_, end_) != 0) fail("written");
  if (begin > 0) return;
  write(line_of({{"job", job}}));
  sync_folder(file_.parent_path());  // its name lasts too
}

void CompletionJournal::append(const std::vector<Completion>& completions) {
  std::string lines;
  for (const Completion& completion : completions) {
    const std::string line = line_of(to_json(completion));
    places_[completion.number] = {end_ + static_cast<std::int64_t>(lines.size()), line.rfind('#')};
    lines += line;
  }
  write(lines);
}

void CompletionJournal::write(const std::string& lines) {
  for (std::size_t done = 0; done < lines.size();) {
    const ssize_t wrote = ::write(fd_, lines.data() + done, lines.size() - done);
    if (wrote < 0 && errno != EINTR) fail("written");
    if (wrote > 0) done += static_cast<std::size_t>(wrote);
  }
  if (::fdatasync(fd_) != 0) fail("brought to the disk");
  end_ += static_cast<std::int64_t>(lines.size());
}

Completion CompletionJournal::read(std::int64_t number) const {
  const Place& place = places_.at(number);
  std::string text(place.bytes, '\0');
  const ssize_t n = ::pread(fd_, text.data(), text.size(), place.offset);
  if (n != static_cast<ssize_t>(text.size())) fail("read");
  const json line = parse_json_object(text, file_.string());
  Completion completion;
  completion.number = number;
  completion.tokens = line.at("tokens").get<std::vector<TokenId>>();
  completion.text = line.at("text");
  completion.reason = parse_finish_reason(line.at("finish_reason").get<std::string>()).value();
  return completion;
}

void CompletionJournal::remove() {
  if (::unlink(file_.c_str()) != 0) fail("removed");
}

}  // namespace hydrajob
