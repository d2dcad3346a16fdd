// The exit codes of every hydrajob command (docs/cli.md).
#pragma once

namespace hydrajob {

enum class ExitCode : int {
  ok = 0,            // everything asked for is done
  runs_failed = 1,   // the sweep finished, some of its runs failed
  usage = 2,         // command line, configuration, model file or environment
  store = 3,         // the store cannot be read or written
  regression = 4,    // a comparison found something slower
  interrupted = 75,  // stopped before the end; the same command resumes (EX_TEMPFAIL)
  // From ranks to their supervisor alone: there is time left, start the same command again at once. Nobody
  // else sees it: without a supervisor it is 75, and the supervisor itself returns 75 in its place.
  start_again = 76,
};

}  // namespace hydrajob
