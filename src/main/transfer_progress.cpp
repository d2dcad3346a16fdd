#include "main/transfer_progress.hpp"

#include <cstdio>
#include <utility>

#include <fmt/format.h>

#include "base/log.hpp"
#include "base/units.hpp"

namespace hydrajob {
namespace {

using Seconds = TransferReport::Seconds;

constexpr Seconds between_redraws(0.1);
constexpr Seconds between_lines(10);

}  // namespace

std::optional<std::string> TransferReport::at(Seconds now, std::uint64_t done, std::uint64_t total) {
  const bool is_first = !first_time_;
  if (is_first) {
    first_time_ = now;
    first_done_ = done;
  }
  const bool is_due = is_first ? at_once_ : now - last_time_ >= interval_;
  if (is_first || is_due) last_time_ = now;
  if (!is_due) return std::nullopt;
  std::string text = fmt::format("{} of {}", format_bytes(static_cast<double>(done)),
                                 format_bytes(static_cast<double>(total)));
  const double seconds = (now - *first_time_).count();
  const double speed = seconds > 0 ? static_cast<double>(done - first_done_) / seconds : 0;  // bytes/s
  if (speed <= 0) return text;
  return text + fmt::format(", {:.2f} GB/s, {} left", speed / 1e9,
                            format_seconds(static_cast<double>(total - done) / speed));
}

TransferProgress::TransferProgress(std::string what, ProgressStyle style)
    : what_(std::move(what)),
      style_(style),
      report_(style == ProgressStyle::bar ? between_redraws : between_lines, style == ProgressStyle::bar) {}

TransferProgress::~TransferProgress() {
  if (style_ == ProgressStyle::bar) std::fputs("\r\033[K", stderr);
}

void TransferProgress::show(std::uint64_t done, std::uint64_t total) {
  const Seconds now = std::chrono::steady_clock::now().time_since_epoch();
  const std::optional<std::string> text = report_.at(now, done, total);
  if (!text) return;
  if (style_ == ProgressStyle::lines) return log::info(fmt::format("{}: {}", what_, *text));
  std::fprintf(stderr, "\r\033[K%s: %s", what_.c_str(), text->c_str());
  std::fflush(stderr);
}

}  // namespace hydrajob
