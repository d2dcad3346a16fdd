#include "sched/progress.hpp"

#include <algorithm>
#include <cstdio>
#include <cstdlib>
#include <set>
#include <string_view>
#include <sys/ioctl.h>
#include <unistd.h>

#include <fmt/format.h>

#include "base/log.hpp"
#include "base/units.hpp"

namespace hydrajob {
namespace {

constexpr std::size_t bar_width = 24;

// Redrawn at most this often: a sweep of empty runs would spend its time on the terminal.
constexpr std::chrono::milliseconds shortest_redraw(100);

std::size_t terminal_width() {
  winsize size{};
  if (ioctl(STDERR_FILENO, TIOCGWINSZ, &size) == 0 && size.ws_col > 0) return size.ws_col;
  return 80;
}

std::string headline(const RunReport& report) {
  if (report.status != RunStatus::ok) return report.reason;
  const std::string time =
      report.headline_s > 0 ? fmt::format("{} a step, ", format_seconds(report.headline_s)) : "";
  return fmt::format("{}{} in all", time, format_seconds(report.wall_s));
}

}  // namespace

RunLabels::RunLabels(const Plan& plan) {
  std::set<std::string> varying;
  for (const PlannedRun& run : plan.runs) {
    const Parameters& first = plan.runs.front().spec.parameters;
    for (const auto& [name, value] : run.spec.parameters) {
      const auto same = first.find(name);
      if (same == first.end() || same->second != value) varying.insert(name);
    }
  }
  varying_.assign(varying.begin(), varying.end());
}

std::string RunLabels::of(const PlannedRun& run) const {
  Parameters shown;
  for (const std::string& name : varying_) {
    if (const auto value = run.spec.parameters.find(name); value != run.spec.parameters.end())
      shown.insert(*value);
  }
  return shown.empty() ? run.spec.id.substr(0, 8) : to_string(shown);
}

void Estimate::add(double predicted_s, double wall_s) {
  predicted_s_ += predicted_s;
  wall_s_ += wall_s;
  shortest_s_ = n_ == 0 ? wall_s : std::min(shortest_s_, wall_s);
  ++n_;
}

double Estimate::overhead_s() const {
  return shortest_s_;
}

double Estimate::factor() const {
  if (predicted_s_ <= 0) return 1;
  return std::max(1.0, (wall_s_ - n_ * shortest_s_) / predicted_s_);
}

ProgressStyle progress_style() {
  const char* term = std::getenv("TERM");
  const bool dumb = !term || std::string_view(term) == "dumb";
  // Details would be written into the bar.
  return isatty(STDERR_FILENO) && !dumb && !log::shows_details() ? ProgressStyle::bar : ProgressStyle::lines;
}

Progress::Progress(const Plan& plan, std::int64_t to_do, ProgressStyle style)
    : plan_(plan), labels_(plan), style_(style), to_do_(to_do) {}

Progress::~Progress() {
  clear();
}

void Progress::started(std::int64_t run, int group, int n_groups) {
  const std::string label = labels_.of(plan_.runs[static_cast<std::size_t>(run)]);
  current_ = label;
  if (style_ == ProgressStyle::bar) {
    if (std::chrono::steady_clock::now() - drawn_ > shortest_redraw) draw();
  } else {
    log::debug(n_groups > 1 ? fmt::format("group {} starts {}", group, label) : "starts " + label);
  }
}

void Progress::finished(const RunReport& report, double left_s) {
  ++done_;
  left_s_ = left_s;
  const bool failed = report.status != RunStatus::ok;
  if (failed) ++failed_;
  const std::string line =
      fmt::format("[{}/{}] {} {}: {}", done_, to_do_, to_string(report.status),
                  labels_.of(plan_.runs[static_cast<std::size_t>(report.run)]), headline(report));
  if (style_ == ProgressStyle::lines) {
    log::info(line);
    return;
  }
  failed ? note(line) : log::debug(line);
  if (done_ == to_do_ || std::chrono::steady_clock::now() - drawn_ > shortest_redraw) draw();
}

void Progress::note(const std::string& message) {
  clear();
  log::info(message);
}

void Progress::draw() {
  drawn_ = std::chrono::steady_clock::now();
  const std::size_t full =
      to_do_ > 0 ? bar_width * static_cast<std::size_t>(done_) / static_cast<std::size_t>(to_do_) : 0;
  std::string line = fmt::format("[{:<{}}] {}/{}", std::string(full, '#'), bar_width, done_, to_do_);
  if (failed_ > 0) line += fmt::format(", {} failed", failed_);
  if (left_s_ >= 0 && done_ < to_do_) line += fmt::format(", {} left", format_seconds(left_s_));
  line += "  " + current_;
  line.resize(std::min(line.size(), terminal_width() - 1));
  std::fprintf(stderr, "\r\033[K%s", line.c_str());
  std::fflush(stderr);
}

void Progress::clear() {
  if (style_ != ProgressStyle::bar) return;
  std::fputs("\r\033[K", stderr);
  std::fflush(stderr);
}

}  // namespace hydrajob
