#include "comm/mpi_session.hpp"

#include <cstdlib>
#include <exception>

#include <fmt/format.h>

#include "base/error.hpp"
#include "comm/launcher.hpp"
#include "comm/mpi_communicator.hpp"

namespace hydrajob {
namespace {

[[noreturn]] void refuse_lone_tasks(int tasks) {
  throw UsageError(fmt::format(
      "srun started {} tasks that do not find each other: each would run the whole sweep. Start them with "
      "srun --mpi=pmix, or use mpirun",
      tasks));
}

bool has_process_manager() {
  for (const char* variable : {"PMIX_RANK", "PMI_RANK", "PMI_FD"}) {
    if (std::getenv(variable) != nullptr) return true;
  }
  return false;
}

void start_mpi() {
  const int tasks = slurm_step_tasks().value_or(1);
  // Open MPI prints a page and aborts here when srun gave it no process manager.
  if (tasks > 1 && !has_process_manager()) refuse_lone_tasks(tasks);
  yield_when_oversubscribed();
  avoid_multicast();
  int provided = MPI_THREAD_SINGLE;
  HJ_MPI(MPI_Init_thread(nullptr, nullptr, MPI_THREAD_MULTIPLE, &provided));
  int size = 1;
  HJ_MPI(MPI_Comm_size(MPI_COMM_WORLD, &size));
  if (size == 1 && tasks > 1) {
    MPI_Finalize();
    refuse_lone_tasks(tasks);
  }
  if (provided < MPI_THREAD_MULTIPLE) {
    MPI_Finalize();
    throw UsageError(
        "this MPI library has no MPI_THREAD_MULTIPLE: rank 0 dispatches runs from a thread of its own");
  }
}

}  // namespace

bool launched_by_mpi() {
  for (const char* variable :
       {"OMPI_COMM_WORLD_SIZE", "PMIX_RANK", "PMI_RANK", "PMI_FD", "MPI_LOCALNRANKS"}) {
    if (std::getenv(variable) != nullptr) return true;
  }
  return slurm_step_tasks().value_or(1) > 1;
}

std::string mpi_library_version() {
  char text[MPI_MAX_LIBRARY_VERSION_STRING] = "";
  int length = 0;
  MPI_Get_library_version(text, &length);
  const std::string version(text, static_cast<std::size_t>(length));
  return version.substr(0, version.find(','));
}

MpiSession::MpiSession() {
  start_mpi();
  world_ = std::make_unique<MpiCommunicator>(MPI_COMM_WORLD, MpiCommunicator::Ownership::borrowed);
}

MpiSession::~MpiSession() {
  world_.reset();
  if (std::uncaught_exceptions() == 0) MPI_Finalize();
}

Communicator& MpiSession::world() {
  return *world_;
}

}  // namespace hydrajob
