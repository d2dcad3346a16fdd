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

// SIGTERM and SIGINT ask to stop now: mpirun kills one second later. SIGUSR2 (a batch system's warning) asks
// to stop soon. Handlers of the process while this object lives; at most one at a time.
class StopSignals {
 public:
  StopSignals();
  ~StopSignals();
  StopSignals(const StopSignals&) = delete;
  StopSignals& operator=(const StopSignals&) = delete;

  static Stop asked();
  // "SIGTERM", or empty.
  static std::string name();
};

// Seconds until what runs must be abandoned: a margin (10 s, at most a tenth of the limit) before
// `time_limit_s` after this object's start, where > 0, or before Slurm's SLURM_JOB_END_TIME, whichever is
// sooner. Infinite where neither is given.
class Deadline {
 public:
  explicit Deadline(double time_limit_s);
  double seconds_left() const;

 private:
  double end_unix_s_ = std::numeric_limits<double>::infinity();
};

// What this rank alone would do now. After SIGUSR2 what runs has until the deadline; a minute where there is
// none. Any thread may ask.
class StopWatch {
 public:
  explicit StopWatch(double time_limit_s) : deadline_(time_limit_s) {}
  Stop asked();
  double seconds_left() const { return deadline_.seconds_left(); }
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
