// Waiting without a core: the scheduler's ranks and its dispatcher look for messages, and sleep in between,
// so that those who compute are left alone. MPI's own waits spin.
#pragma once

#include <chrono>
#include <optional>
#include <string>
#include <utility>

#include "comm/communicator.hpp"

namespace hydrajob {

// Sleeps an eighth of the time waited so far, at least 20 us, at most 5 ms: a short wait ends soon, a long
// one costs next to nothing.
class Backoff {
 public:
  void pause();
  void restart() { begin_ = std::chrono::steady_clock::now(); }

 private:
  std::chrono::steady_clock::time_point begin_ = std::chrono::steady_clock::now();
};

// The next message with this tag from anybody: (its sender, its bytes).
std::pair<int, std::string> wait_for_message(Communicator& comm, int tag);

}  // namespace hydrajob
