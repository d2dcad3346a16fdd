#include "config/parameters.hpp"

#include <algorithm>
#include <array>
#include <cmath>
#include <cstdint>
#include <utility>

#include <fmt/format.h>

namespace hydrajob {
namespace {

using enum ParameterType;

constexpr double max_tokens = 2147483647;       // lengths are 32 bits in the cache's tables
constexpr double max_exact = 9007199254740992;  // 2^53

Value whole(std::int64_t value) {
  return value;
}
Value word(const char* value) {
  return std::string(value);
}

std::vector<ParameterInfo> what_runs() {
  return {
      {.name = "workload",
       .type = choice,
       .doc = "what is measured: a model generating, the attention operation alone, or questions about a "
              "long document",
       .choices = {"generate", "attention", "needles"},
       .fallback = word("generate"),
       .axis = false},
      {.name = "mode",
       .type = choice,
       .doc = "how shared tokens are attended to: once for all (hydragen), a copy a sequence (noshared), one "
              "copy read "
              "once a sequence (paged), not at all (noattention), as the cost model decides (auto)",
       .choices = {"hydragen", "noshared", "paged", "noattention", "auto", "vllm", "vllm_notok"},
       .fallback = word("hydragen")},
      {.name = "model",
       .type = text,
       .doc = "architecture: a name in models/ beside this file, or a path",
       .without = "that of `weights`, or required"},
      {.name = "weights",
       .type = text,
       .applies_to = workloads::of_models,
       .doc = "`random`, or the path of a model file",
       .fallback = word("random")},
      {.name = "dtype",
       .type = choice,
       .doc = "element type of weights, activations and cache; activations beyond 65504 are infinite in f16, "
              "and so are the parts of them that ranks of a group add up",
       .choices = {"f32", "bf16", "f16"},
       .fallback = word("bf16")},
      {.name = "device",
       .type = choice,
       .doc = "where it runs; `auto`: the best of this build and machine",
       .choices = {"auto", "cpu", "cuda"},
       .fallback = word("auto")},
      {.name = "tensor_parallel",
       .doc = "ranks that share one model",
       .minimum = 1,
       .maximum = 65536,
       .fallback = whole(1)},
  };
}

std::vector<ParameterInfo> what_shapes() {
  return {
      {.name = "batch",
       .applies_to = workloads::of_batches,
       .unit = "sequences",
       .doc = "completions at once",
       .minimum = 1,
       .maximum = 1 << 24,
       .fallback = whole(1)},
      {.name = "prefix",
       .unit = "tokens",
       .doc = "tokens that all sequences share; needles: of a document without `text`, required there",
       .maximum = max_tokens,
       .fallback = whole(0)},
      {.name = "tree",
       .type = text,
       .applies_to = workloads::of_batches,
       .unit = "tokens",
       .doc =
           "shared tokens as a tree, root first, nodes x length a level: `1x1024/4x128`; instead of `prefix`",
       .without = "one segment of `prefix` tokens"},
      {.name = "suffix",
       .unit = "tokens",
       .doc =
           "each sequence's own tokens: its prompt (generate), its part of the cache (attention), a question "
           "about a document without `text` (needles, required there)",
       .maximum = max_tokens,
       .fallback = whole(0)},
      {.name = "new_tokens",
       .applies_to = workloads::of_models,
       .unit = "tokens",
       .doc = "tokens to generate a sequence",
       .minimum = 1,
       .maximum = max_tokens,
       .without = "required; needles: `10`"},
  };
}

std::vector<ParameterInfo> what_samples() {
  return {
      {.name = "temperature",
       .type = real,
       .applies_to = workloads::generate,
       .doc = "sampling temperature; 0 is greedy",
       .maximum = 1e6,
       .fallback = 0.0},
      {.name = "top_p",
       .type = real,
       .applies_to = workloads::generate,
       .doc = "smallest set of tokens of this probability is sampled from; 1 keeps all",
       .maximum = 1,
       .above_minimum = true,
       .fallback = 1.0},
      {.name = "seed",
       .doc = "of random weights, prompts and sampling",
       .maximum = max_exact,
       .fallback = whole(1)},
      {.name = "prefill_chunk",
       .applies_to = workloads::of_models,
       .unit = "tokens",
       .doc = "rows computed at once while prompts are read; 0: 512 on a CPU, 4096 on a GPU",
       .minimum = 0,
       .maximum = 1 << 24,
       .fallback = whole(0)},
  };
}

std::vector<ParameterInfo> what_needles() {
  return {
      {.name = "questions",
       .applies_to = workloads::needles,
       .doc = "questions at once, each a sequence",
       .minimum = 1,
       .maximum = 1 << 24,
       .without = "required"},
      {.name = "text",
       .type = text,
       .applies_to = workloads::needles,
       .doc = "path of the text that the facts are hidden in; with `facts`, and `weights` with a tokenizer",
       .without = "a document of token ids"},
      {.name = "facts",
       .type = text,
       .applies_to = workloads::needles,
       .doc = "path of the facts: CSV with the columns name and color",
       .without = "none"},
      {.name = "few_shot",
       .applies_to = workloads::needles,
       .doc = "facts that become examples with their answers, behind the document",
       .maximum = 1 << 24,
       .without = "`5`; without `text` none"},
      {.name = "text_length",
       .applies_to = workloads::needles,
       .unit = "characters",
       .doc = "of the text between all facts, before its pieces go on to the end of a sentence",
       .maximum = max_tokens,
       .without = "`50000`; without `text` none"},
      {.name = "needles",
       .applies_to = workloads::needles,
       .doc = "keys with their values in a document of token ids",
       .minimum = 1,
       .maximum = 1 << 24,
       .without = "`256`; with `text` the facts"},
  };
}

std::vector<ParameterInfo> what_operation() {
  return {
      {.name = "n_heads",
       .applies_to = workloads::attention,
       .doc = "query heads, of all ranks",
       .minimum = 1,
       .maximum = 65536,
       .without = "that of `model`, or required"},
      {.name = "n_kv_heads",
       .applies_to = workloads::attention,
       .doc = "key and value heads, of all ranks",
       .minimum = 1,
       .maximum = 65536,
       .without = "that of `model`, or required"},
      {.name = "head_dim",
       .applies_to = workloads::attention,
       .doc = "elements a head, an even number",
       .minimum = 2,
       .maximum = 1024,
       .without = "that of `model`, or required"},
      {.name = "l2",
       .type = choice,
       .applies_to = workloads::attention,
       .doc = "caches before each iteration: flushed, or as the last one left them",
       .choices = {"cold", "warm"},
       .fallback = word("cold")},
  };
}

std::vector<ParameterInfo> what_measures() {
  return {
      {.name = "warmup",
       .unit = "iterations",
       .doc = "iterations before the measured ones",
       .maximum = 1e9,
       .fallback = whole(1)},
      {.name = "iterations",
       .unit = "iterations",
       .doc = "measured iterations",
       .minimum = 1,
       .maximum = 1e9,
       .fallback = whole(5)},
      {.name = "max_iterations",
       .unit = "iterations",
       .doc = "goes on until converged, this far at most",
       .minimum = 1,
       .maximum = 1e9,
       .without = "`iterations`"},
      {.name = "target_ci",
       .type = real,
       .doc = "converged: relative half-width of the median's 95 % interval",
       .maximum = 1,
       .above_minimum = true,
       .fallback = 0.01},
      {.name = "timeout",
       .type = real,
       .unit = "s",
       .doc = "a run taking longer is ended and recorded; 0: never",
       .maximum = 1e9,
       .fallback = 0.0},
  };
}

std::vector<ParameterInfo> make_table() {
  std::vector<ParameterInfo> table = what_runs();
  for (auto part : {what_shapes(), what_samples(), what_needles(), what_operation(), what_measures()})
    table.insert(table.end(), part.begin(), part.end());
  return table;
}

std::string range_text(const ParameterInfo& info) {
  if (info.above_minimum) return fmt::format("above {} and at most {}", info.minimum, info.maximum);
  return fmt::format("from {} to {}", info.minimum, info.maximum);
}

std::string default_text(const ParameterInfo& info) {
  return info.fallback ? fmt::format("`{}`", to_string(*info.fallback)) : std::string(info.without);
}

std::string values_text(const ParameterInfo& info) {
  switch (info.type) {
    case choice:
      return fmt::format("`{}`", fmt::join(info.choices, "`, `"));
    case text:
      return "text";
    case integer:
      return "whole, " + range_text(info);
    case real:
      break;
  }
  return "number, " + range_text(info);
}

constexpr std::array<std::pair<std::string_view, unsigned>, 3> workload_bits{{
    {"generate", workloads::generate},
    {"attention", workloads::attention},
    {"needles", workloads::needles},
}};

std::string workloads_text(unsigned set) {
  if (set == workloads::all) return "all";
  std::vector<std::string_view> names;
  for (const auto& [name, bit] : workload_bits) {
    if ((set & bit) != 0) names.push_back(name);
  }
  return fmt::format("{}", fmt::join(names, ", "));
}

}  // namespace

const std::vector<ParameterInfo>& parameter_table() {
  static const std::vector<ParameterInfo> table = make_table();
  return table;
}

const ParameterInfo* find_parameter(std::string_view name) {
  const auto& table = parameter_table();
  const auto at =
      std::find_if(table.begin(), table.end(), [&](const auto& info) { return info.name == name; });
  return at == table.end() ? nullptr : &*at;
}

std::size_t parameter_index(const ParameterInfo& info) {
  return static_cast<std::size_t>(&info - parameter_table().data());
}

std::vector<std::string> parameter_names() {
  std::vector<std::string> names;
  for (const auto& info : parameter_table()) names.emplace_back(info.name);
  return names;
}

bool applies_to(const ParameterInfo& info, std::string_view workload) {
  return std::any_of(workload_bits.begin(), workload_bits.end(), [&](const auto& known) {
    return known.first == workload && (known.second & info.applies_to) != 0;
  });
}

std::string_view rival_of(std::string_view parameter) {
  if (parameter == "prefix") return "tree";
  if (parameter == "tree") return "prefix";
  return {};
}

std::string expected_value(const ParameterInfo& info) {
  // What a condition compares with has no bounds.
  const std::string within = std::isfinite(info.maximum) ? ", " + range_text(info) : "";
  switch (info.type) {
    case choice:
      return fmt::format("one of {}", fmt::join(info.choices, ", "));
    case text:
      return "text";
    case integer:
      return "a whole number" + within;
    case real:
      break;
  }
  return "a number" + within;
}

std::string parameter_table_markdown() {
  std::string text = "| key | values | default | unit | workload | what |\n|---|---|---|---|---|---|\n";
  for (const auto& info : parameter_table()) {
    text += fmt::format("| `{}` | {} | {} | {} | {} | {} |\n", info.name, values_text(info),
                        default_text(info), info.unit, workloads_text(info.applies_to), info.doc);
  }
  return text;
}

}  // namespace hydrajob
