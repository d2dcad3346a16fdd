// When to stop before the end: signals, and the end of the job's time.
#pragma once

#include <atomic>
#include <functional>
#include <limits>
#include <string>

#include "base/error.hpp"
#include "comm/communicator.hpp"

namespace hydrajob {

// A run told to stop: it leaves no record and is done again by the next start.
class Interrupted : public Error {
 public:
  explicit Interrupted(const std::string& message) : Error(ExitCode::interrupted, message) {}
};

enum class Stop : int {
  no,
  soon,  // start nothing more; what runs may finish while there is time
  now,   // abandon what runs at its next check
};

// SIGTERM, SIGINT and SIGHUP ask to stop now: mpirun kills one second later. SIGUSR2 (a batch system's
// warning) asks to stop soon. SIGUSR1, which would end the process, is ignored: batch systems send it to
// whole jobs. Handlers of the process while this object lives; at most one at a time.
class StopSignals {
 public:
  StopSignals();
  ~StopSignals();
  StopSignals(const StopSignals&) = delete;
  StopSignals& operator=(const StopSignals&) = delete;

  static Stop asked();
  // Whether SIGUSR2 came, before or without another.
  static bool warned();
  // "SIGTERM", or empty.
  static std::string name();
};

// The job's end: `time_limit_s` after this object's start, where > 0, or Slurm's SLURM_JOB_END_TIME,
// whichever is sooner; none where neither is given. An end that is past already is a mistake, and ignored.
// What runs is abandoned a margin before it: 10 s, or twice the longest time between two checks of a run,
// since the next may take as long; at most 110 s, less than the batch script's warning, and a tenth of
// `time_limit_s`. Any thread may ask.
class Deadline {
 public:
  explicit Deadline(double time_limit_s);
  // Until what runs must be abandoned. Infinite where there is no end.
  double seconds_left() const;
  // The most that a run can have that is the job's first: from the job's start (SLURM_JOB_START_TIME where
  // Slurm ends it) to seconds_left() = 0.
  double longest_run_s() const;
  // A run was `seconds` without a check.
  void note_interval(double seconds);

 private:
  double margin_s() const;

  double limit_s_;
  double begin_unix_s_;
  double slurm_begin_unix_s_;
  double slurm_end_unix_s_;
  std::atomic<double> longest_interval_s_ = 0;
};

// What this rank alone would do now. After SIGUSR2 what runs has until the deadline; a minute where there is
// none. Any thread may ask.
class StopWatch {
 public:
  explicit StopWatch(double time_limit_s) : deadline_(time_limit_s) {}
  Stop asked();
  double seconds_left() const { return deadline_.seconds_left(); }
  double longest_run_s() const { return deadline_.longest_run_s(); }
  void note_interval(double seconds) { deadline_.note_interval(seconds); }
  // Whether it was known beforehand that the job would be stopped, by its time or by a warning. A signal
  // alone may also be mpirun's answer to the death of a rank.
  bool announced() const { return StopSignals::warned() || seconds_left() <= 0; }
  // Why, in words: "SIGTERM", "12 s left of the job's time".
  std::string reason() const;

 private:
  StopSignals signals_;
  Deadline deadline_;
  std::atomic<double> warned_unix_s_ = 0;  // when SIGUSR2 was first seen
};

// The check of one run, WorkloadContext::check_time: throws TimeLimit when `timeout_s` (> 0) has passed since
// this call, Interrupted when any rank must stop now; on all ranks of the group together. Collective when
// called.
std::function<void()> make_time_check(Communicator& group, StopWatch& watch, double timeout_s);

}  // namespace hydrajob
