// `hydrajob generate`: a model, prompts, and what is made of them, in as many batches as it takes.
#pragma once

#include <cstdint>
#include <filesystem>
#include <optional>
#include <string>
#include <vector>

#include "base/dtype.hpp"
#include "base/exit_code.hpp"
#include "comm/communicator.hpp"
#include "completions/request.hpp"

namespace hydrajob {

struct CompletionJob {
  std::filesystem::path model;
  std::vector<std::string> levels;  // prompts by level; empty: those of `input`
  std::filesystem::path input;      // a JSONL file; "-": standard input
  RequestDefaults defaults;
  std::optional<double> temperature;  // otherwise the model file's, else 1
  std::optional<double> top_p;        // likewise
  std::uint64_t seed = 1;
  bool ignore_eos = false;
  std::filesystem::path output;  // empty: printed, and not kept should the job end early
  bool with_tokens = false;      // in a JSONL output
  std::int64_t batch = 1024;     // completions at once, at most
  std::string device = "auto";
  std::optional<DType> dtype;          // otherwise the model file's
  int threads = 0;                     // CPU threads of each rank; 0: its share of the node's cores
  double time_limit_s = 0;             // 0: none
  std::optional<double> hang_limit_s;  // sched/hang_watch.hpp
};

// All ranks of `world` share the model. Returns ok, or interrupted when it was told to stop: then the same
// job goes on from the completions that its output's journal has. The tokens of a completion follow from the
// model, its prompt, the options and its number, not from the batches, the ranks, or where it was interrupted
// — but for rounding, which differs between shapes of matrix products and decides between two tokens of all
// but the same probability. Throws AgreedError; what else leaves is this rank's alone. Collective.
ExitCode generate_completions(const CompletionJob& job, Communicator& world);

}  // namespace hydrajob
