// The command line of `hydrajob CONFIG.yaml`: read, checked, explained.
#pragma once

#include <filesystem>
#include <optional>
#include <string>
#include <vector>

#include "config/override.hpp"
#include "sched/sweep.hpp"

namespace hydrajob {

struct RunOptions {
  std::filesystem::path config;
  std::vector<Assignment> set;  // laid over the configuration
  SweepOptions sweep;
  bool list = false;             // print the runs
  bool dry_run = false;          // print the plan
  int ranks = 0;                 // to plan for; 0: as many as there are
  std::string machine;           // to plan for, a name or a path; empty: the one that is there
  std::string machine_given_by;  // what messages call that: "--machine", "HYDRAJOB_MACHINE"
  std::optional<std::filesystem::path> log_dir;
  bool verbose = false;
};

// From the arguments, then from HYDRAJOB_* in the environment for what they do not say. Throws UsageError
// that names the nearest known option.
RunOptions parse_run_options(const std::vector<std::string>& arguments);

// Usage, commands, options and exit codes.
std::string help_text();

}  // namespace hydrajob
