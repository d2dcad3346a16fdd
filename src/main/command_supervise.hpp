// `hydrajob supervise -- mpirun -np 8 hydrajob …`: starts a command again when it crashes. A crash of one
// process ends an MPI job; the store knows which run was in flight, and leaves it out after the second time.
// A command whose time is over (exit code 75) is not started again: it would find no more time than before.
#pragma once

#include <string>
#include <vector>

#include "base/exit_code.hpp"

namespace hydrajob {

struct SupervisePolicy {
  int max_restarts = 20;
  double backoff_s = 1;   // before the first restart; doubles up to a minute
  double steady_s = 600;  // a command that ran so long starts the backoff anew
};

enum class Verdict {
  finished,  // its exit code is the answer
  restart,
};

// `status`: as waitpid gives it. Started again is what says so (ExitCode::start_again), and what crashed:
// died by a signal, or the shell's and mpirun's way to say so (128 + signal).
Verdict judge(int status);

// "exit code 3", "died of signal 9 (Killed)".
std::string explain(int status);

// Returns the command's last exit code, 75 in place of start_again; 0 after --help. SIGTERM, SIGINT, SIGHUP,
// SIGUSR1 and SIGUSR2 go to the command; after one of them other than SIGUSR1 it is not started again. Throws
// UsageError for a wrong command line.
ExitCode run_supervise(const std::vector<std::string>& arguments);

}  // namespace hydrajob
