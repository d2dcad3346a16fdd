// Experiments from text and their runs, for the tests of this folder.
#pragma once

#include <string>
#include <utility>
#include <vector>

#include "base/error.hpp"
#include "config/experiment.hpp"
#include "grid/expand.hpp"
#include "grid/plan.hpp"
#include "unit/config/failure.hpp"

namespace hydrajob {

inline Architecture small_architecture() {
  Architecture a;
  a.name = "small";
  a.n_layers = 2;
  a.hidden = 64;
  a.n_heads = 8;
  a.n_kv_heads = 2;
  a.head_dim = 16;
  a.intermediate = 96;
  a.vocab = 101;
  a.max_positions = 4096;
  return a;
}

// Weights files hold the small architecture; "no.h5" cannot be read, "split4" is for four ranks.
inline WeightsContent content_of_file(const std::string& path) {
  if (path == "no.h5") throw UsageError("no.h5: no such file");
  return {small_architecture(), path == "split4" ? 4 : 0};
}

// A configuration in configs/, so that models are found.
inline Experiment experiment(const std::string& yaml, const std::vector<Assignment>& set = {}) {
  return parse_experiment(yaml, HJ_SOURCE_DIR "/configs/a.yaml", set);
}

inline std::vector<RunSpec> runs_of(const Experiment& e) {
  std::vector<RunSpec> runs;
  expand(e, {content_of_file, "cpu"}, [&](RunSpec&& spec) { runs.push_back(std::move(spec)); });
  return runs;
}

inline PlanRequest request() {
  PlanRequest r;
  r.ranks = 8;
  r.ranks_per_node = 8;
  r.ceilings = {1e12, 1e11, 0, "test"};
  r.code_digest = "code";
  r.weights_digest = [](const std::string& path) { return "digest of " + path; };
  r.weights_content = content_of_file;
  return r;
}

// "2/64 2/128 4/64": two parameters of each run, in order.
inline std::string points_text(const std::vector<RunSpec>& runs, const std::string& a, const std::string& b) {
  std::string text;
  for (const RunSpec& run : runs) {
    if (!text.empty()) text += ' ';
    text += to_string(run.parameters.at(a)) + '/' + to_string(run.parameters.at(b));
  }
  return text;
}

// Small enough to count by hand.
inline RunSpec tiny_generate() {
  RunSpec s;
  s.architecture.n_layers = 1;
  s.architecture.hidden = 8;
  s.architecture.n_heads = 2;
  s.architecture.n_kv_heads = 1;
  s.architecture.head_dim = 4;
  s.architecture.intermediate = 16;
  s.architecture.vocab = 10;
  s.batch = 2;
  s.prefix = 3;
  s.tree = {{1, 3}};
  s.new_tokens = 3;
  s.dtype = DType::bf16;
  s.warmup = 1;
  s.iterations = 4;
  return s;
}

}  // namespace hydrajob
