#include "completions/progress.hpp"

#include <cstdio>
#include <string>

#include <fmt/format.h>

#include "base/log.hpp"
#include "base/units.hpp"

namespace hydrajob {
namespace {

using Seconds = std::chrono::duration<double>;

constexpr Seconds between_redraws(0.1);
constexpr Seconds between_lines(10);

}  // namespace

CompletionProgress::CompletionProgress(std::int64_t total, std::int64_t done, ProgressStyle style)
    : total_(total), before_(done), done_(done), style_(style) {}

CompletionProgress::~CompletionProgress() {
  if (style_ == ProgressStyle::bar) std::fputs("\r\033[K", stderr);
}

void CompletionProgress::show(std::int64_t finished, std::int64_t tokens) {
  const bool is_bar = style_ == ProgressStyle::bar;
  const auto now = Clock::now();
  if (now - said_ < (is_bar ? between_redraws : between_lines)) return;
  said_ = now;
  const double seconds = Seconds(now - begin_).count();
  std::string line = fmt::format("{} of {} completions, {:.1f} tokens/s", done_ + finished, total_,
                                 static_cast<double>(tokens) / seconds);
  if (const auto mine = static_cast<double>(done_ - before_); mine > 0) {
    const double left_s =
        seconds / (mine + static_cast<double>(finished)) * static_cast<double>(total_ - done_ - finished);
    line += fmt::format(", {} left", format_seconds(left_s));
  }
  if (!is_bar) return log::info(line);
  std::fprintf(stderr, "\r\033[K%s", line.c_str());
  std::fflush(stderr);
}

}  // namespace hydrajob
