#include "sched/backoff.hpp"

#include <algorithm>
#include <thread>

namespace hydrajob {

void Backoff::pause() {
  using std::chrono::nanoseconds;
  constexpr nanoseconds shortest = std::chrono::microseconds(20);
  constexpr nanoseconds longest = std::chrono::milliseconds(5);
  const nanoseconds waited = std::chrono::steady_clock::now() - begin_;
  std::this_thread::sleep_for(std::clamp(waited / 8, shortest, longest));
}

std::pair<int, std::string> wait_for_message(Communicator& comm, int tag) {
  Backoff backoff;
  for (;;) {
    if (auto message = comm.try_receive(tag)) return std::move(*message);
    backoff.pause();
  }
}

}  // namespace hydrajob
