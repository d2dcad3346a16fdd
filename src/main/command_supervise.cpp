#include "main/command_supervise.hpp"

#include <algorithm>
#include <cerrno>
#include <charconv>
#include <chrono>
#include <cmath>
#include <cstdio>
#include <cstdlib>
#include <optional>
#include <signal.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <unistd.h>

#include <fmt/format.h>

#include "base/error.hpp"
#include "base/file.hpp"
#include "base/log.hpp"
#include "base/nearest.hpp"
#include "base/units.hpp"
#include "comm/launcher.hpp"

namespace hydrajob {
namespace {

constexpr double longest_backoff_s = 60;

struct Request {
  SupervisePolicy policy;
  std::vector<std::string> command;
};

double number(const std::string& option, const std::string& text) {
  char* end = nullptr;
  const double value = std::strtod(text.c_str(), &end);
  if (text.empty() || *end != '\0' || !(value >= 0)) {
    throw UsageError(fmt::format("supervise: {} {}: expected a number, 0 or more", option, text));
  }
  return value;
}

int whole_number(const std::string& option, const std::string& text) {
  int value = 0;
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), value);
  if (error != std::errc() || end != text.data() + text.size() || value < 0) {
    throw UsageError(fmt::format("supervise: {} {}: expected a whole number, 0 or more", option, text));
  }
  return value;
}

// Options of the supervisor itself stand before the `--`.
bool asks_for_help(const std::vector<std::string>& arguments) {
  const auto separator = std::find(arguments.begin(), arguments.end(), "--");
  return std::any_of(arguments.begin(), separator,
                     [](const std::string& a) { return a == "--help" || a == "-h"; });
}

std::string help() {
  const SupervisePolicy policy;
  return fmt::format(
      "hydrajob supervise [options] -- COMMAND …\n"
      "Starts COMMAND again when it dies of a signal, or says that it lost a rank's work.\n\n"
      "  --max-restarts N   at most so often (default {})\n"
      "  --backoff S        seconds before the first restart; they double up to {:g} (default {:g})\n"
      "  -h, --help         print this\n\n"
      "The exit code is COMMAND's last; 75: no time is left, or told to stop; the same command goes on.\n",
      policy.max_restarts, longest_backoff_s, policy.backoff_s);
}

Request parse(const std::vector<std::string>& arguments) {
  Request request;
  const auto separator = std::find(arguments.begin(), arguments.end(), "--");
  if (separator == arguments.end() || separator + 1 == arguments.end()) {
    throw UsageError(
        "supervise: expected `-- COMMAND …`, as in: hydrajob supervise -- mpirun -np 8 hydrajob a.yaml");
  }
  request.command.assign(separator + 1, arguments.end());
  for (auto at = arguments.begin(); at != separator; at += 2) {
    if (*at != "--max-restarts" && *at != "--backoff") {
      const auto close = nearest(*at, {"--max-restarts", "--backoff"});
      throw UsageError(fmt::format("supervise: unknown option '{}'{}", *at,
                                   close ? fmt::format(": did you mean '{}'?", *close) : ""));
    }
    if (at + 1 == separator) throw UsageError(fmt::format("supervise: {} needs a number", *at));
    if (*at == "--max-restarts") request.policy.max_restarts = whole_number(*at, *(at + 1));
    if (*at == "--backoff") request.policy.backoff_s = number(*at, *(at + 1));
  }
  return request;
}

sigset_t watched_signals() {
  sigset_t set;
  sigemptyset(&set);
  for (const int signal : {SIGTERM, SIGINT, SIGHUP, SIGUSR1, SIGUSR2, SIGCHLD}) sigaddset(&set, signal);
  return set;
}

bool asks_for_a_start(int status) {
  return WIFEXITED(status) && WEXITSTATUS(status) == static_cast<int>(ExitCode::start_again);
}

std::optional<int> signal_behind(int status) {
  if (WIFSIGNALED(status)) return WTERMSIG(status);
  if (WIFEXITED(status) && WEXITSTATUS(status) > 128) return WEXITSTATUS(status) - 128;
  return std::nullopt;
}

// Signals wait to be taken; no handler runs at an odd moment.
class Supervisor {
 public:
  explicit Supervisor(Request request) : request_(std::move(request)), signals_(watched_signals()) {
    sigprocmask(SIG_BLOCK, &signals_, &before_);
  }
  ~Supervisor() { sigprocmask(SIG_SETMASK, &before_, nullptr); }
  Supervisor(const Supervisor&) = delete;
  Supervisor& operator=(const Supervisor&) = delete;

  int run() {
    double backoff_s = request_.policy.backoff_s;
    for (int restarts = 0;; ++restarts) {
      const auto begin = std::chrono::steady_clock::now();
      const int status = run_once();
      const std::chrono::duration<double> ran = std::chrono::steady_clock::now() - begin;
      if (stopped_ || judge(status) == Verdict::finished) return exit_code(status);
      if (restarts >= request_.policy.max_restarts) {
        log::error(fmt::format("supervise: {}; given up after {} restarts", explain(status), restarts));
        return exit_code(status);
      }
      if (ran.count() > request_.policy.steady_s) backoff_s = request_.policy.backoff_s;
      log::info(fmt::format("supervise: {}; restart {} of {} in {}", explain(status), restarts + 1,
                            request_.policy.max_restarts, format_seconds(backoff_s)));
      if (!wait_for(backoff_s)) return exit_code(status);
      backoff_s = std::min(longest_backoff_s, 2 * backoff_s);
    }
  }

 private:
  int run_once() {
    const pid_t child = start();
    for (;;) {
      int status = 0;
      if (waitpid(child, &status, WNOHANG) == child) return status;
      siginfo_t info;
      const int signal = sigwaitinfo(&signals_, &info);
      if (signal <= 0 || signal == SIGCHLD) continue;
      if (signal != SIGUSR1) stopped_ = true;
      kill(child, signal);
    }
  }

  // In a process group of its own: the terminal's Ctrl-C reaches it through us, once.
  pid_t start() {
    std::vector<char*> argv;
    for (std::string& argument : request_.command) argv.push_back(argument.data());
    argv.push_back(nullptr);
    const pid_t child = fork();
    if (child < 0) throw UsageError(fmt::format("supervise: cannot start a process: {}", strerror(errno)));
    if (child > 0) return child;
    setpgid(0, 0);
    prctl(PR_SET_PDEATHSIG, SIGTERM);
    setenv(supervised_variable, "1", /*overwrite=*/1);
    sigprocmask(SIG_SETMASK, &before_, nullptr);
    execvp(argv.front(), argv.data());
    log::error(fmt::format("supervise: cannot start {}: {}", argv.front(), strerror(errno)));
    _exit(static_cast<int>(ExitCode::usage));
  }

  // False when told to stop meanwhile.
  bool wait_for(double seconds) {
    const auto end = std::chrono::steady_clock::now() + std::chrono::duration<double>(seconds);
    for (;;) {
      const std::chrono::duration<double> left = end - std::chrono::steady_clock::now();
      if (left.count() <= 0) return true;
      timespec timeout{};
      timeout.tv_sec = static_cast<time_t>(left.count());
      timeout.tv_nsec = static_cast<long>(std::fmod(left.count(), 1.0) * 1e9);
      const int signal = sigtimedwait(&signals_, nullptr, &timeout);
      if (signal > 0 && signal != SIGCHLD && signal != SIGUSR1) return false;
    }
  }

  static int exit_code(int status) {
    if (asks_for_a_start(status)) return static_cast<int>(ExitCode::interrupted);
    return WIFEXITED(status) ? WEXITSTATUS(status) : 128 + WTERMSIG(status);
  }

  Request request_;
  sigset_t signals_;
  sigset_t before_{};
  bool stopped_ = false;
};

}  // namespace

Verdict judge(int status) {
  return asks_for_a_start(status) || signal_behind(status) ? Verdict::restart : Verdict::finished;
}

std::string explain(int status) {
  if (const auto signal = signal_behind(status))
    return fmt::format("died of signal {} ({})", *signal, strsignal(*signal));
  if (asks_for_a_start(status)) return "lost a rank's work and asks to be started again";
  return fmt::format("exit code {}", WEXITSTATUS(status));
}

ExitCode run_supervise(const std::vector<std::string>& arguments) {
  if (asks_for_help(arguments)) {
    std::fputs(help().c_str(), stdout);
    flush_output();
    return ExitCode::ok;
  }
  return static_cast<ExitCode>(Supervisor(parse(arguments)).run());
}

}  // namespace hydrajob
