#include "sched/hang_watch.hpp"

#include <utility>

namespace hydrajob {

double hang_limit_s(std::optional<double> given, const std::string& device) {
  constexpr double on_gpus = 1800;
  return given.value_or(device == "cpu" ? 0 : on_gpus);
}

bool is_hang_limit(double seconds) {
  constexpr double most = 1e7;
  return seconds >= 0 && seconds <= most;
}

HangWatch::HangWatch(double limit_s, std::function<void(const std::string&)> on_hang)
    : limit_(limit_s), on_hang_(std::move(on_hang)) {
  if (limit_s > 0) watcher_ = std::thread([this] { watch(); });
}

HangWatch::~HangWatch() {
  {
    const std::lock_guard lock(mutex_);
    ends_ = true;
  }
  changed_.notify_all();
  if (watcher_.joinable()) watcher_.join();
}

void HangWatch::enter(const std::string& phase) {
  const std::lock_guard lock(mutex_);
  phase_ = phase;
  last_sign_ = Clock::now();
}

void HangWatch::alive() {
  const std::lock_guard lock(mutex_);
  last_sign_ = Clock::now();
}

void HangWatch::watch() {
  std::unique_lock lock(mutex_);
  while (!ends_) {
    const auto until = last_sign_ + std::chrono::duration_cast<Clock::duration>(limit_);
    if (Clock::now() < until) {
      changed_.wait_until(lock, until);
      continue;
    }
    const std::string phase = phase_;
    lock.unlock();
    on_hang_(phase);
    return;
  }
}

}  // namespace hydrajob
