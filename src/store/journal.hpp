// A job's journal: what it started, finished and gave up, one line an event, each with its own checksum.
// Append-only, one file a job: STORE.d/journal-<job>.log.
#pragma once

#include <cstdint>
#include <filesystem>
#include <string>
#include <vector>

namespace hydrajob {

struct JournalEvent {
  std::string kind;  // "opened", "started", "finished", "abandoned", "note"
  std::string run_id;
  std::int32_t attempt = 0;
  std::string text;  // status of a finished run, or a note
};

class Journal {
 public:
  // Creates the file. Throws StoreError.
  explicit Journal(const std::filesystem::path& path);
  ~Journal();
  Journal(const Journal&) = delete;
  Journal& operator=(const Journal&) = delete;

  // One write() of one line, on disk (fdatasync) when it returns. Throws StoreError.
  void append(const JournalEvent& event);
  const std::filesystem::path& path() const { return path_; }

 private:
  std::filesystem::path path_;
  int fd_;
  bool torn_ = false;  // the last line was cut off: the next begins with a line break
};

// The events whose lines are whole; a torn or damaged line is left out, those behind it are read.
std::vector<JournalEvent> read_journal(const std::filesystem::path& path);

// Journals of a store's folder, sorted by name.
std::vector<std::filesystem::path> journals_in(const std::filesystem::path& folder);

}  // namespace hydrajob
