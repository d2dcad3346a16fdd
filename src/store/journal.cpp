#include "store/journal.hpp"

#include <algorithm>
#include <cerrno>
#include <chrono>
#include <cstring>
#include <fcntl.h>
#include <fstream>
#include <optional>
#include <sstream>
#include <unistd.h>

#include <fmt/format.h>

#include "base/digest.hpp"
#include "base/error.hpp"
#include "store/sealed_file.hpp"

namespace hydrajob {
namespace {

// "<unix time> <kind> <run_id or -> <attempt> <text> #<digest of all before>\n"; the text has no line breaks.
std::string line_of(const JournalEvent& event) {
  std::string text = event.text;
  std::replace(text.begin(), text.end(), '\n', ' ');
  const double now =
      std::chrono::duration<double>(std::chrono::system_clock::now().time_since_epoch()).count();
  const std::string body = fmt::format("{:.6f} {} {} {} {} ", now, event.kind,
                                       event.run_id.empty() ? "-" : event.run_id, event.attempt, text);
  return body + '#' + hex(digest64(body.data(), body.size())) + '\n';
}

std::optional<JournalEvent> parse_line(const std::string& line) {
  const std::size_t mark = line.rfind('#');
  if (mark == std::string::npos || line.substr(mark + 1) != hex(digest64(line.data(), mark)))
    return std::nullopt;
  std::istringstream words(line.substr(0, mark));
  double time = 0;
  JournalEvent event;
  if (!(words >> time >> event.kind >> event.run_id >> event.attempt)) return std::nullopt;
  if (event.run_id == "-") event.run_id.clear();
  std::getline(words >> std::ws, event.text);
  while (!event.text.empty() && event.text.back() == ' ') event.text.pop_back();
  return event;
}

}  // namespace

Journal::Journal(const std::filesystem::path& path)
    : path_(path), fd_(::open(path.c_str(), O_WRONLY | O_CREAT | O_APPEND | O_CLOEXEC, 0644)) {
  if (fd_ < 0) throw StoreError(path.string() + ": cannot be opened: " + std::strerror(errno));
  sync_folder(path.parent_path());
}

Journal::~Journal() {
  ::close(fd_);
}

void Journal::append(const JournalEvent& event) {
  const std::string line = (torn_ ? "\n" : "") + line_of(event);
  ssize_t written = 0;
  do {
    written = ::write(fd_, line.data(), line.size());
  } while (written < 0 && errno == EINTR);
  torn_ = written != static_cast<ssize_t>(line.size());
  if (torn_) {
    throw StoreError(path_.string() +
                     ": cannot be written: " + (written < 0 ? std::strerror(errno) : "disk full"));
  }
  if (::fdatasync(fd_) != 0) throw StoreError(path_.string() + ": fdatasync: " + std::strerror(errno));
}

std::vector<JournalEvent> read_journal(const std::filesystem::path& path) {
  std::ifstream in(path, std::ios::binary);
  if (!in) throw StoreError(path.string() + ": cannot be read: " + std::strerror(errno));
  std::vector<JournalEvent> events;
  for (std::string line; std::getline(in, line);) {
    if (auto event = parse_line(line)) events.push_back(std::move(*event));
  }
  return events;
}

std::vector<std::filesystem::path> journals_in(const std::filesystem::path& folder) {
  std::vector<std::filesystem::path> journals;
  std::error_code none;
  for (const auto& entry : std::filesystem::directory_iterator(folder, none)) {
    const std::string name = entry.path().filename().string();
    if (name.starts_with("journal-") && name.ends_with(".log")) journals.push_back(entry.path());
  }
  std::sort(journals.begin(), journals.end());
  return journals;
}

}  // namespace hydrajob
