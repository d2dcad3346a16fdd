#include "sched/peers.hpp"

#include <cstdlib>
#include <unistd.h>

#include "base/process.hpp"

namespace hydrajob {

Peers::Peers(Communicator& world) : here_(process_space()) {
  places_ = world.all_gather(here_ + "\n" + std::to_string(getpid()));
}

bool Peers::seen_alive(int rank) const {
  const std::string& place = places_.at(static_cast<std::size_t>(rank));
  const auto end = place.find('\n');
  return place.substr(0, end) == here_ && !process_start(std::atol(place.c_str() + end + 1)).empty();
}

}  // namespace hydrajob
