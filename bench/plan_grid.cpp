// Expanding and planning a grid of 100,000 runs: time and memory. The bar: under 2 s and 500 MB, everything
// counted from the process's start.
#include <chrono>
#include <cstdio>
#include <string>
#include <sys/resource.h>

#include <fmt/format.h>

#include "config/experiment.hpp"
#include "grid/plan.hpp"

namespace {

using hydrajob::Architecture;

// 100 batches x 50 prefixes x 5 suffixes x 4 modes, with a rule that every point is asked about.
const std::string grid =
    "name: grid\n"
    "weights: model.h5\n"
    "new_tokens: 128\n"
    "mode: [hydragen, noshared, paged, noattention]\n"
    "batch: 1:101:1\n"
    "prefix: 128:6528:128\n"
    "suffix: 0:80:16\n"
    "exclude: {mode: auto}\n"
    "when:\n"
    "  - if: {batch: '>= 64'}\n"
    "    set: {iterations: 3, warmup: 3}\n";

hydrajob::WeightsContent llama_like(const std::string&) {
  Architecture a;
  a.name = "a-model-of-some-length";
  a.n_layers = 32;
  a.hidden = 4096;
  a.n_heads = 32;
  a.n_kv_heads = 8;
  a.head_dim = 128;
  a.intermediate = 14336;
  a.vocab = 128256;
  a.max_positions = 8192;
  return {a, 0};
}

hydrajob::PlanRequest make_request() {
  hydrajob::PlanRequest request;
  request.ranks = 8;
  request.ranks_per_node = 8;
  request.ceilings = {1e14, 1e12, 64e9, "assumed"};
  request.code_digest = "bench";
  request.weights_digest = [](const std::string&) { return std::string(32, '0'); };
  request.weights_content = llama_like;
  return request;
}

double peak_mb() {
  rusage usage{};
  getrusage(RUSAGE_SELF, &usage);
  return static_cast<double>(usage.ru_maxrss) * 1024 / 1e6;  // Linux: KiB
}

}  // namespace

int main() {
  for (int repetition = 0; repetition < 3; ++repetition) {
    const auto start = std::chrono::steady_clock::now();
    const auto experiment = hydrajob::parse_experiment(grid, "grid.yaml", {});
    const auto plan = hydrajob::make_plan(experiment, make_request());
    const std::chrono::duration<double> seconds = std::chrono::steady_clock::now() - start;
    fmt::print("{} runs planned in {:.3f} s, peak {:.0f} MB\n", plan.runs.size(), seconds.count(), peak_mb());
  }
}
