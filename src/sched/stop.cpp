#include "sched/stop.hpp"

#include <algorithm>
#include <atomic>
#include <chrono>
#include <csignal>
#include <cstdlib>

#include <fmt/format.h>

#include "base/units.hpp"

namespace hydrajob {
namespace {

// What the last commit and the compaction get: this long before the end, what runs is abandoned.
constexpr double longest_margin_s = 10;
constexpr double margin_of_limit = 0.1;
constexpr double grace_after_warning_s = 60;

std::atomic<int> last_signal = 0;
static_assert(std::atomic<int>::is_always_lock_free, "signal handlers write it");
struct sigaction previous_term, previous_int, previous_usr2;

// A warning never hides an order to stop now.
void remember(int signal) {
  if (last_signal == 0 || last_signal == SIGUSR2) last_signal = signal;
}

double unix_now_s() {
  using std::chrono::duration;
  return duration<double>(std::chrono::system_clock::now().time_since_epoch()).count();
}

}  // namespace

StopSignals::StopSignals() {
  last_signal = 0;
  struct sigaction action {};
  action.sa_handler = remember;
  action.sa_flags = SA_RESTART;
  sigemptyset(&action.sa_mask);
  sigaction(SIGTERM, &action, &previous_term);
  sigaction(SIGINT, &action, &previous_int);
  sigaction(SIGUSR2, &action, &previous_usr2);
}

StopSignals::~StopSignals() {
  sigaction(SIGTERM, &previous_term, nullptr);
  sigaction(SIGINT, &previous_int, nullptr);
  sigaction(SIGUSR2, &previous_usr2, nullptr);
}

Stop StopSignals::asked() {
  if (last_signal == 0) return Stop::no;
  return last_signal == SIGUSR2 ? Stop::soon : Stop::now;
}

std::string StopSignals::name() {
  switch (last_signal) {
    case SIGTERM:
      return "SIGTERM";
    case SIGINT:
      return "SIGINT";
    case SIGUSR2:
      return "SIGUSR2";
    default:
      return {};
  }
}

Deadline::Deadline(double time_limit_s) {
  if (time_limit_s > 0) {
    end_unix_s_ = unix_now_s() + time_limit_s - std::min(longest_margin_s, margin_of_limit * time_limit_s);
  }
  if (const char* text = std::getenv("SLURM_JOB_END_TIME")) {
    const double end = std::strtod(text, nullptr);
    if (end > 0) end_unix_s_ = std::min(end_unix_s_, end - longest_margin_s);
  }
}

double Deadline::seconds_left() const {
  return end_unix_s_ - unix_now_s();
}

Stop StopWatch::asked() {
  const Stop signalled = StopSignals::asked();
  if (signalled == Stop::now || seconds_left() <= 0) return Stop::now;
  if (signalled == Stop::no) return Stop::no;
  const double now = unix_now_s();
  double first_seen = 0;
  warned_unix_s_.compare_exchange_strong(first_seen, now);
  const bool no_deadline = seconds_left() == std::numeric_limits<double>::infinity();
  const bool grace_over = first_seen > 0 && now - first_seen > grace_after_warning_s;
  return no_deadline && grace_over ? Stop::now : Stop::soon;
}

std::string StopWatch::reason() const {
  if (const std::string signal = StopSignals::name(); !signal.empty()) return signal;
  return fmt::format("{} left of the job's time", format_seconds(std::max(0.0, seconds_left())));
}

std::function<void()> make_time_check(Communicator& group, StopWatch& watch, double timeout_s) {
  const auto begin = std::chrono::steady_clock::now();
  return [&group, &watch, timeout_s, begin] {
    constexpr double go_on = 0, time_over = 1, stop_now = 2;
    const std::chrono::duration<double> passed = std::chrono::steady_clock::now() - begin;
    double mine = timeout_s > 0 && passed.count() > timeout_s ? time_over : go_on;
    if (watch.asked() == Stop::now) mine = stop_now;
    const double agreed = group.all_reduce_max(mine);
    if (agreed == stop_now) throw Interrupted("told to stop");
    if (agreed == time_over)
      throw TimeLimit(fmt::format("passed its time limit of {}", format_seconds(timeout_s)));
  };
}

}  // namespace hydrajob
