// MPI's life in this process: prepared before it starts, finalised at the end.
#pragma once

#include <memory>
#include <string>

#include "comm/communicator.hpp"

namespace hydrajob {

// True when a launcher (mpirun, srun) started this process as one of several ranks, or as one of one.
bool launched_by_mpi();

// "Open MPI v4.1.4": for provenance; needs no started MPI.
std::string mpi_library_version();

// Holds MPI from start to finalise. Before MPI starts it sets what Open MPI needs when more ranks than cores
// share the node (yield while waiting: without it an 8-byte all-reduce takes 5.7 ms instead of 9 us), unless
// the user has set it. Asks for MPI_THREAD_MULTIPLE: rank 0 dispatches runs from a thread of its own. Throws
// UsageError when the launcher started several tasks that do not find each other (MPI size 1 under Slurm with
// more than one task).
class MpiSession {
 public:
  MpiSession();
  ~MpiSession();  // finalises, but not while an exception unwinds: the other ranks may never arrive
  MpiSession(const MpiSession&) = delete;
  MpiSession& operator=(const MpiSession&) = delete;

  Communicator& world();

 private:
  std::unique_ptr<Communicator> world_;
};

}  // namespace hydrajob
