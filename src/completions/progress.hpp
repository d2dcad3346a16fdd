// What a person sees while completions are generated: how many are done, how fast, how long still.
#pragma once

#include <chrono>
#include <cstdint>

#include "sched/progress.hpp"

namespace hydrajob {

class CompletionProgress {
 public:
  // Of `total` completions `done` are there before.
  CompletionProgress(std::int64_t total, std::int64_t done, ProgressStyle style);
  ~CompletionProgress();
  CompletionProgress(const CompletionProgress&) = delete;
  CompletionProgress& operator=(const CompletionProgress&) = delete;

  // Of the batch at work so many are finished; `tokens`: kept of all completions since the start. On a
  // terminal one line that is rewritten, else a line now and then.
  void show(std::int64_t finished, std::int64_t tokens);
  // A batch is done.
  void add(std::int64_t completions) { done_ += completions; }

 private:
  using Clock = std::chrono::steady_clock;

  std::int64_t total_;
  std::int64_t before_;
  std::int64_t done_;
  ProgressStyle style_;
  Clock::time_point begin_ = Clock::now();
  Clock::time_point said_ = begin_;
};

}  // namespace hydrajob
