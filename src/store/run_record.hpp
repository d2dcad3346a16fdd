// What one run leaves: the plain data that travels from a workload up to the store.
#pragma once

#include <cstdint>
#include <map>
#include <optional>
#include <string>
#include <vector>

#include "base/value.hpp"

namespace hydrajob {

enum class RunStatus {
  ok,
  failed,  // an exception; `reason` is its message
  out_of_memory,
  timed_out,
  crashed,  // the process died with this run in flight, twice
  skipped,  // known before the start that it cannot run
};

std::string to_string(RunStatus status);
RunStatus parse_run_status(const std::string& name);  // throws StoreError

// The rank's device while a sample was measured; what it does not tell is missing.
struct SampleCondition {
  std::optional<double> sm_clock_mhz;
  std::optional<std::int64_t> throttle_reasons;  // bits, as docs/store.md names them; 0: nothing held it down
  std::optional<double> power_w;

  bool operator==(const SampleCondition&) const = default;
};

// Every sample of one phase, all ranks of the group. Sample i: rank[i] measured value[i] in iteration[i],
// step[i].
struct SampleSeries {
  std::string phase;  // "prefill", "decode_step", "total", "attention", …
  std::string unit = "s";
  bool warmup = false;  // warm-up samples are kept apart
  std::vector<double> value;
  std::vector<std::int32_t> rank;  // within the group
  std::vector<std::int32_t> iteration;
  std::vector<std::int32_t> step;               // 0 where the phase has none
  std::vector<SampleCondition> condition = {};  // of each sample; empty where none of them has anything
};

// Empties `condition` where it holds nothing.
void drop_untold(SampleSeries& series);

// One column of the runs table: a number with its unit and what it means.
struct Metric {
  double value = 0;
  std::string unit;
  std::string long_name;
};

struct RunRecord {
  std::string run_id;        // 32 hexadecimal characters, RunSpec::id
  std::int32_t attempt = 1;  // 1, 2, … over all starts
  RunStatus status = RunStatus::ok;
  std::string reason;                     // empty when ok
  std::string convergence;                // whether the samples converged, in words
  std::string experiment;                 // the configuration's name
  Parameters parameters;                  // resolved
  std::map<std::string, Metric> metrics;  // "decode_step.median", "predicted_s", "roofline_fraction", …
  std::vector<SampleSeries> samples;
  std::string config_text;  // the resolved YAML text; stored once per distinct text
  std::string environment;  // JSON object text of the provenance; stored once per distinct text
  double started_unix_s = 0;
  double finished_unix_s = 0;
  std::int32_t group = 0;       // which group of ranks ran it
  std::int32_t first_rank = 0;  // of MPI_COMM_WORLD
};

}  // namespace hydrajob
