// One run: a point of the grid with every parameter resolved and checked.
#pragma once

#include <cstdint>
#include <filesystem>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "base/dtype.hpp"
#include "base/value.hpp"
#include "config/architecture.hpp"
#include "needles/needle_task.hpp"

namespace hydrajob {

enum class WorkloadKind { generate, attention, needles };

// Whether the workload computes with a model, not with an operation alone.
constexpr bool has_model(WorkloadKind workload) {
  return workload != WorkloadKind::attention;
}

enum class Mode { hydragen, noshared, paged, noattention, automatic, vllm, vllm_notok };

enum class L2State { cold, warm };

// One level of a tree of shared segments: `nodes` segments of `length` tokens, spread evenly over the nodes
// above.
struct TreeLevel {
  std::int64_t nodes = 1;
  std::int64_t length = 0;
  bool operator==(const TreeLevel&) const = default;
};

struct RunSpec {
  // Identity: every parameter that shapes the result, as the store keeps them; `prefix` also where a tree is
  // given, `tree` where it is more than one segment.
  Parameters parameters;
  std::string id;  // digest of the parameters, the weights and the code; set by the plan

  WorkloadKind workload = WorkloadKind::generate;
  Mode mode = Mode::hydragen;
  std::int64_t batch = 1;       // completions; needles: questions
  std::int64_t prefix = 0;      // shared tokens: the total length along one path of `tree`
  std::vector<TreeLevel> tree;  // root first; a plain prefix is one level of one node; empty: no prefix
  // Unique prompt tokens a sequence (generate), cached unique tokens (attention), of the longest question
  // (needles).
  std::int64_t suffix = 0;
  std::int64_t new_tokens = 0;  // generate, needles
  int tensor_parallel = 1;
  DType dtype = DType::bf16;
  std::string device = "cpu";  // "cpu", "cuda": the plan has replaced "auto"

  // generate, needles: the model. `weights` is "random" or the path of a model file.
  Architecture architecture;
  std::string weights = "random";
  std::uint64_t seed = 1;
  double temperature = 0;
  double top_p = 1;
  std::int64_t prefill_chunk = 512;

  // needles
  std::int64_t n_needles = 0;  // in the document
  // Of a text. Without: token ids, which the workload makes of the seed (needles/token_needles.hpp).
  std::shared_ptr<const NeedleTask> needles;
  std::string needles_digest;  // of its tokens and answers
  std::string text;            // paths
  std::string facts;
  std::int64_t few_shot = 0;
  std::int64_t text_length = 0;  // characters

  // attention: the operation's shape (the whole, not one rank's).
  std::int64_t n_heads = 0;
  std::int64_t n_kv_heads = 0;
  std::int64_t head_dim = 0;
  L2State l2 = L2State::cold;

  // measurement
  int warmup = 1;
  int iterations = 5;
  int max_iterations = 5;   // more than `iterations`: goes on until converged
  double target_ci = 0.01;  // relative half-width of the median's 95 % interval
  double timeout_s = 0;     // 0: none

  std::string experiment;  // the configuration's name
  std::string block;       // where in the configuration it came from: "configs/e2e-7b.yaml:12"
};

std::string to_string(Mode mode);
Mode parse_mode(std::string_view name);  // throws UsageError
std::string to_string(WorkloadKind workload);
WorkloadKind parse_workload(std::string_view name);  // throws UsageError

// "1x1024/4x128": levels root first, nodes x length. Throws UsageError that says what is wrong, without a
// place; the nodes of each level must be a multiple of those of the level above.
std::vector<TreeLevel> parse_tree(std::string_view text);
std::string to_string(const std::vector<TreeLevel>& tree);

// What a run keeps loaded for the next: equal for runs of one degree that share it, empty for runs without
// weights.
std::string weights_key(const RunSpec& spec);

// Rows computed at once while prompts are read, where nothing else is asked for. `device`: "cpu", "cuda".
std::int64_t default_prefill_chunk(std::string_view device);

// Tokens along one path from a root to a leaf, and of all nodes together.
std::int64_t path_tokens(const std::vector<TreeLevel>& tree);
std::int64_t tree_tokens(const std::vector<TreeLevel>& tree);

}  // namespace hydrajob
