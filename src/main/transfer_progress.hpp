// What a person sees of a long copy: bytes of all, speed, time left. On a terminal one line that is
// rewritten, else a line now and then.
#pragma once

#include <chrono>
#include <cstdint>
#include <optional>
#include <string>

#include "sched/progress.hpp"

namespace hydrajob {

// What is to be said, and when.
class TransferReport {
 public:
  using Seconds = std::chrono::duration<double>;

  // At most one text an interval; `at_once`: one of the first call too, which knows no speed yet.
  TransferReport(Seconds interval, bool at_once) : interval_(interval), at_once_(at_once) {}

  // At `now`, `done` bytes of `total` are there; those of the first call tell nothing of the speed.
  std::optional<std::string> at(Seconds now, std::uint64_t done, std::uint64_t total);

 private:
  Seconds interval_;
  bool at_once_;
  std::optional<Seconds> first_time_;
  Seconds last_time_{0};
  std::uint64_t first_done_ = 0;
};

class TransferProgress {
 public:
  // `what`: begins each line.
  TransferProgress(std::string what, ProgressStyle style);
  ~TransferProgress();
  TransferProgress(const TransferProgress&) = delete;
  TransferProgress& operator=(const TransferProgress&) = delete;
  void show(std::uint64_t done, std::uint64_t total);

 private:
  std::string what_;
  ProgressStyle style_;
  TransferReport report_;
};

}  // namespace hydrajob
