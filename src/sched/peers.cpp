#include "sched/peers.hpp"

#include <array>
#include <fstream>
#include <unistd.h>

namespace hydrajob {
namespace {

// Processes see each other when they share the host and the namespace of process ids.
std::string process_namespace() {
  std::array<char, 256> host{};
  gethostname(host.data(), host.size() - 1);
  std::array<char, 64> ids{};
  const auto length = readlink("/proc/self/ns/pid", ids.data(), ids.size() - 1);
  return std::string(host.data()) + " " + (length > 0 ? ids.data() : "");
}

// Field 3 of /proc/PID/stat, behind the name in parentheses; a dead process that nobody has waited for is a
// 'Z'.
bool runs(const std::string& pid) {
  std::ifstream file("/proc/" + pid + "/stat");
  std::string stat;
  std::getline(file, stat);
  const auto name_end = stat.rfind(')');
  if (name_end == std::string::npos || name_end + 2 >= stat.size()) return false;
  const char state = stat[name_end + 2];
  return state != 'Z' && state != 'X';
}

}  // namespace

Peers::Peers(Communicator& world) : here_(process_namespace()) {
  places_ = world.all_gather(here_ + "\n" + std::to_string(getpid()));
}

bool Peers::seen_alive(int rank) const {
  const std::string& place = places_.at(static_cast<std::size_t>(rank));
  const auto end = place.find('\n');
  return place.substr(0, end) == here_ && runs(place.substr(end + 1));
}

}  // namespace hydrajob
