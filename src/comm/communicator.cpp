#include "comm/communicator.hpp"

namespace hydrajob {

std::string agree_on_error(Communicator& comm, const std::string& error) {
  // The usual case costs one small reduction.
  if (all_true(comm, error.empty())) return {};
  for (const std::string& theirs : comm.all_gather(error)) {
    if (!theirs.empty()) return theirs;
  }
  return {};
}

}  // namespace hydrajob
