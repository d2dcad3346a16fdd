// What a person sees of a sweep: on a terminal one line with a bar, else a line an event. Rank 0 only.
#pragma once

#include <chrono>
#include <cstdint>
#include <string>
#include <vector>

#include "grid/plan.hpp"
#include "sched/messages.hpp"

namespace hydrajob {

// Names a run by the parameters that differ within the plan: "mode=hydragen batch=64 prefix=1024".
class RunLabels {
 public:
  explicit RunLabels(const Plan& plan);
  std::string of(const PlannedRun& run) const;

 private:
  std::vector<std::string> varying_;
};

// How long runs take, from predictions and what runs took so far: an overhead a run, and a factor on the
// prediction.
class Estimate {
 public:
  // A run that was predicted to take `predicted_s` took `wall_s`, loading included.
  void add(double predicted_s, double wall_s);
  // Of `n` runs whose predictions sum up to `predicted_s`.
  double expected_s(double predicted_s, double n) const { return overhead_s() * n + factor() * predicted_s; }
  // The longest prediction that is expected to be done within `seconds`.
  double longest_within(double seconds) const { return (seconds - overhead_s()) / factor(); }

 private:
  double overhead_s() const;  // the shortest run so far
  double factor() const;      // at least 1: predictions are lower bounds

  double predicted_s_ = 0;
  double wall_s_ = 0;
  double shortest_s_ = 0;
  double n_ = 0;
};

enum class ProgressStyle { bar, lines };

// bar where stderr is a terminal that can move its cursor.
ProgressStyle progress_style();

class Progress {
 public:
  Progress(const Plan& plan, std::int64_t to_do, ProgressStyle style);
  ~Progress();

  void started(std::int64_t run, int group, int n_groups);
  // `left_s`: estimated time until all is done.
  void finished(const RunReport& report, double left_s);
  // A message of the scheduler's own; the bar makes room for it.
  void note(const std::string& message);

  std::int64_t done() const { return done_; }
  std::int64_t failed() const { return failed_; }

 private:
  void draw();
  void clear();

  const Plan& plan_;
  RunLabels labels_;
  ProgressStyle style_;
  std::int64_t to_do_;
  std::int64_t done_ = 0;
  std::int64_t failed_ = 0;
  double left_s_ = -1;  // unknown
  std::string current_;
  std::chrono::steady_clock::time_point drawn_{};
};

}  // namespace hydrajob
