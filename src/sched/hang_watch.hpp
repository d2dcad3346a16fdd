// Notices that a rank has stopped getting anywhere: a collective waits for ever for a peer that hangs, and
// nobody else would ever say so.
#pragma once

#include <chrono>
#include <condition_variable>
#include <functional>
#include <mutex>
#include <optional>
#include <string>
#include <thread>

namespace hydrajob {

// Seconds that a rank on this device ("cpu", "cuda") may give no sign of life: what was asked for, 0 for
// never; else never on CPUs, and half an hour on GPUs, where loading a model takes minutes at most and a
// sample seconds.
double hang_limit_s(std::optional<double> given, const std::string& device);
// Of --hang-limit: 0 to 1e7, months.
bool is_hang_limit(double seconds);

class HangWatch {
 public:
  // `on_hang` gets the phase, in a thread of its own, when nothing was heard for `limit_s` seconds; at most
  // once. 0 or less: never.
  HangWatch(double limit_s, std::function<void(const std::string& phase)> on_hang);
  ~HangWatch();
  HangWatch(const HangWatch&) = delete;
  HangWatch& operator=(const HangWatch&) = delete;

  // A phase begins, which is a sign of life too.
  void enter(const std::string& phase);
  void alive();

 private:
  using Clock = std::chrono::steady_clock;
  void watch();

  std::chrono::duration<double> limit_;
  std::function<void(const std::string&)> on_hang_;
  std::mutex mutex_;
  std::condition_variable changed_;
  std::string phase_;
  Clock::time_point last_sign_ = Clock::now();
  bool ends_ = false;
  std::thread watcher_;  // last: it uses the others
};

}  // namespace hydrajob
