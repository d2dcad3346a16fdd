// Whether the processes of other ranks still live. When one dies, mpirun terminates the rest with the same
// signal by which a person stops the job: the run of the dead rank crashed, the others were only stopped.
#pragma once

#include <string>
#include <vector>

#include "comm/communicator.hpp"

namespace hydrajob {

class Peers {
 public:
  // Collective over the world.
  explicit Peers(Communicator& world);

  // True when this rank's process is seen to run; false when it is dead, or out of sight on another host.
  bool seen_alive(int rank) const;

 private:
  std::string here_;
  std::vector<std::string> places_;  // by rank: its host and process id
};

}  // namespace hydrajob
