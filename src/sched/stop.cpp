#include "sched/stop.hpp"

#include <algorithm>
#include <array>
#include <atomic>
#include <chrono>
#include <csignal>
#include <cstdlib>
#include <utility>

#include <fmt/format.h>

#include "base/units.hpp"

namespace hydrajob {
namespace {

// What the last commit and the compaction get: this long before the end, what runs is abandoned.
constexpr double least_margin_s = 10;
constexpr double most_margin_s = 110;
constexpr double margin_of_limit = 0.1;
constexpr double grace_after_warning_s = 60;
constexpr double never = std::numeric_limits<double>::infinity();

constexpr std::array handled = {SIGTERM, SIGINT, SIGHUP, SIGUSR1, SIGUSR2};

std::atomic<int> last_signal = 0;
std::atomic<bool> usr2_came = false;
static_assert(std::atomic<int>::is_always_lock_free && std::atomic<bool>::is_always_lock_free,
              "signal handlers write them");
std::array<struct sigaction, handled.size()> previous;

// A warning never hides an order to stop now.
void remember(int signal) {
  if (signal == SIGUSR2) usr2_came = true;
  if (last_signal == 0 || last_signal == SIGUSR2) last_signal = signal;
}

// Unix time in a variable of Slurm's; 0 where there is none.
double unix_time_in(const char* variable) {
  const char* text = std::getenv(variable);
  return text ? std::max(0.0, std::strtod(text, nullptr)) : 0;
}

double unix_now_s() {
  using std::chrono::duration;
  return duration<double>(std::chrono::system_clock::now().time_since_epoch()).count();
}

}  // namespace

StopSignals::StopSignals() {
  last_signal = 0;
  usr2_came = false;
  for (std::size_t i = 0; i < handled.size(); ++i) {
    struct sigaction action {};
    action.sa_handler = handled[i] == SIGUSR1 ? SIG_IGN : remember;
    action.sa_flags = SA_RESTART;
    sigemptyset(&action.sa_mask);
    sigaction(handled[i], &action, &previous[i]);
  }
}

StopSignals::~StopSignals() {
  for (std::size_t i = 0; i < handled.size(); ++i) sigaction(handled[i], &previous[i], nullptr);
}

Stop StopSignals::asked() {
  if (last_signal == 0) return Stop::no;
  return last_signal == SIGUSR2 ? Stop::soon : Stop::now;
}

bool StopSignals::warned() {
  return usr2_came;
}

std::string StopSignals::name() {
  switch (last_signal) {
    case SIGTERM:
      return "SIGTERM";
    case SIGINT:
      return "SIGINT";
    case SIGHUP:
      return "SIGHUP";
    case SIGUSR2:
      return "SIGUSR2";
    default:
      return {};
  }
}

Deadline::Deadline(double time_limit_s)
    : limit_s_(time_limit_s > 0 ? time_limit_s : never), begin_unix_s_(unix_now_s()) {
  const double end = unix_time_in("SLURM_JOB_END_TIME");
  const double begin = unix_time_in("SLURM_JOB_START_TIME");
  slurm_end_unix_s_ = end > begin_unix_s_ ? end : never;
  slurm_begin_unix_s_ = begin > 0 && begin < begin_unix_s_ ? begin : begin_unix_s_;
}

double Deadline::margin_s() const {
  return std::clamp(2 * longest_interval_s_, least_margin_s, most_margin_s);
}

double Deadline::seconds_left() const {
  const double margin = margin_s();
  const double limit_end = begin_unix_s_ + limit_s_ - std::min(margin, margin_of_limit * limit_s_);
  return std::min(limit_end, slurm_end_unix_s_ - margin) - unix_now_s();
}

double Deadline::longest_run_s() const {
  const double margin = margin_s();
  return std::min(limit_s_ - std::min(margin, margin_of_limit * limit_s_),
                  slurm_end_unix_s_ - slurm_begin_unix_s_ - margin);
}

void Deadline::note_interval(double seconds) {
  double longest = longest_interval_s_;
  while (seconds > longest && !longest_interval_s_.compare_exchange_weak(longest, seconds)) {
  }
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
  using Clock = std::chrono::steady_clock;
  const auto begin = Clock::now();
  return [&group, &watch, timeout_s, begin, last = begin]() mutable {
    constexpr double go_on = 0, time_over = 1, stop_now = 2;
    const auto now = Clock::now();
    watch.note_interval(std::chrono::duration<double>(now - std::exchange(last, now)).count());
    const std::chrono::duration<double> passed = now - begin;
    double mine = timeout_s > 0 && passed.count() > timeout_s ? time_over : go_on;
    if (watch.asked() == Stop::now) mine = stop_now;
    const double agreed = group.all_reduce_max(mine);
    if (agreed == stop_now) throw Interrupted("told to stop");
    if (agreed == time_over)
      throw TimeLimit(fmt::format("passed its time limit of {}", format_seconds(timeout_s)));
  };
}

}  // namespace hydrajob
