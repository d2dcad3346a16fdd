// What of a model file that is being written is on the disk for sure, so that the next start goes on from
// there: a line a tensor, each with its own checksum, in a file beside it.
#pragma once

#include <atomic>
#include <cstdint>
#include <filesystem>
#include <map>
#include <string>
#include <vector>

namespace hydrajob::weights {

// Errors are UsageErrors that name `path`, the model file's place.
class WriteJournal {
 public:
  // Opens or creates `file`. Throws when another process has it open: two would write one model file.
  WriteJournal(const std::filesystem::path& file, std::string path);
  ~WriteJournal();
  WriteJournal(const WriteJournal&) = delete;
  WriteJournal& operator=(const WriteJournal&) = delete;

  // Of what is being written; empty where nothing was begun.
  const std::string& identity() const { return identity_; }
  // The checksums that were noted of a tensor, by this process or the one before; null where none were.
  const std::vector<std::uint64_t>* find(const std::string& tensor) const;
  // Whether the next start would find a tensor.
  bool keeps_tensors() const { return keeps_tensors_; }

  // Forgets all of it.
  void clear();
  void begin(const std::string& identity);
  void note(const std::string& tensor, const std::vector<std::uint64_t>& checksums);
  // The lines of what was noted since the last call.
  std::string take_noted();
  // Such lines last once this returns; others may be noted meanwhile. What they are about must be on the disk
  // before.
  void append(const std::string& lines);
  void remove();

 private:
  void open_locked();
  void read();
  void write(const std::string& lines) const;
  void take(const std::string& line);
  [[noreturn]] void fail(const char* what) const;

  std::filesystem::path file_;
  std::string path_;
  int fd_ = -1;
  std::string identity_;
  std::map<std::string, std::vector<std::uint64_t>> tensors_;
  std::string noted_;                       // lines
  std::atomic<bool> keeps_tensors_{false};  // one thread appends while another goes on
};

}  // namespace hydrajob::weights
