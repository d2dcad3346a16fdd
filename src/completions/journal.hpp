// Completions that are on the disk while their output is not: a line each, with its own checksum, in a file
// beside it. What was appended is there at the next start, whatever ended this one.
#pragma once

#include <cstdint>
#include <filesystem>
#include <map>
#include <string>
#include <vector>

#include "completions/completion.hpp"

namespace hydrajob {

class CompletionJournal {
 public:
  // Opens or creates `file`; a line that a kill tore is cut off, a damaged one before others is left out.
  // `job`: digest of all that shapes the completions. Throws UsageError where another process has it open, it
  // is another job's, or its first line is damaged, StoreError where it cannot be read or written.
  CompletionJournal(std::filesystem::path file, const std::string& job);
  ~CompletionJournal();
  CompletionJournal(const CompletionJournal&) = delete;
  CompletionJournal& operator=(const CompletionJournal&) = delete;

  bool has(std::int64_t number) const { return places_.count(number) > 0; }
  std::int64_t size() const { return static_cast<std::int64_t>(places_.size()); }

  // On the disk when it returns. Throws StoreError.
  void append(const std::vector<Completion>& completions);
  // Of one that it has.
  Completion read(std::int64_t number) const;
  void remove();

 private:
  struct Place {
    std::int64_t offset;
    std::size_t bytes;
  };
  void open_locked();
  void read_lines(const std::string& job);
  void write(const std::string& lines);
  [[noreturn]] void fail(const char* what) const;

  std::filesystem::path file_;
  int fd_ = -1;
  std::int64_t end_ = 0;
  std::map<std::int64_t, Place> places_;  // by number
};

}  // namespace hydrajob
