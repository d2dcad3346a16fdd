#include "workload/generate.hpp"

#include <string>
#include <utility>

#include "base/philox.hpp"
#include "timing/statistics.hpp"
#include "workload/iterations.hpp"
#include "workload/metrics.hpp"
#include "workload/model_run.hpp"

namespace hydrajob {
namespace {

// Token streams of a batch: numbered, so that the tree does not depend on the number of sequences.
std::vector<std::int32_t> random_tokens(const RunSpec& spec, std::uint32_t stream, std::int64_t n) {
  std::vector<std::int32_t> tokens(static_cast<std::size_t>(n));
  const PhiloxKey key = philox_key(spec.seed);
  for (std::int64_t i = 0; i < n; ++i) {
    const PhiloxCounter words = philox4x32({static_cast<std::uint32_t>(i), stream, 0x70726F6Du, 0}, key);
    tokens[i] = static_cast<std::int32_t>(words[0] % static_cast<std::uint32_t>(spec.architecture.vocab));
  }
  return tokens;
}

class Generate final : public Workload {
 public:
  Generate(const PlannedRun& run, const WorkloadContext& context)
      : run_(run), context_(context), model_run_(run_, context_) {}

  void prepare() override {
    const RunSpec& spec = run_.spec;
    model_run_.prepare(make_batch(spec),
                       {static_cast<float>(spec.temperature), static_cast<float>(spec.top_p), spec.seed});
  }

  void connect() override { model_run_.connect(); }

  RunRecord measure() override {
    auto samples = repeat(
        run_.spec, model_run_.recorder(), [&](std::int32_t i, bool warmup) { iterate(i, warmup); },
        [&](const std::vector<PhaseSample>& s) { return judged(s); });
    add_totals(samples);
    RunRecord record;
    if (context_.engine.group->rank() == 0) fill(record, samples);
    return record;
  }

 private:
  void iterate(std::int32_t iteration, bool warmup) {
    model_run_.time_iteration("prefill", iteration, warmup, [&] { model_run_.engine().prefill(); });
  }

  std::vector<double> judged(const std::vector<PhaseSample>& samples) const {
    if (run_.spec.new_tokens > 1) return decode_per_iteration(samples);
    return slowest_rank(samples, "prefill", false);
  }

  void fill(RunRecord& record, const std::vector<PhaseSample>& samples) const {
    const auto prefill = slowest_rank(samples, "prefill", false);
    const auto step = slowest_rank(samples, "decode_step", false);
    const auto total = slowest_rank(samples, "total", false);
    const auto decode = decode_per_iteration(samples);
    add_statistics(record, "prefill", "prefill of tree and prompts, first token drawn", prefill);
    add_statistics(record, "decode_step", "one decode step", step);
    add_statistics(record, "decode", "all decode steps of an iteration", decode);
    add_statistics(record, "total", "prefill and all decode steps", total);
    add_samples(record, samples);
    add_convergence(record, judged(samples), run_.spec.target_ci);
    add_decode_rate(record, run_.spec, decode);
    add_paper_rate(record, prefill, total);
    add_plan(record, run_, context_.ceilings);
    if (!step.empty()) {
      add_roofline(record, "decode_step", run_.cost.decode_step.roofline_s, median(step));
    }
    record.metrics["roofline.prefill_s"] = {run_.cost.prefill.roofline_s, "s",
                                            "prefill at the machine's ceilings"};
    add_memory_used(record, model_run_.memory_used());
    add_load(record, samples);
  }

  void add_paper_rate(RunRecord& record, const std::vector<double>& prefill,
                      const std::vector<double>& total) const {
    if (run_.spec.new_tokens < 2) return;
    const auto batch = static_cast<double>(run_.spec.batch);
    const auto n = static_cast<double>(run_.spec.new_tokens);
    record.metrics["paper_tokens_per_s"] = {batch * n / (median(total) - median(prefill)), "1/s",
                                            "batch new_tokens / (T(new_tokens) - T(1)), as the paper counts"};
  }

  PlannedRun run_;
  WorkloadContext context_;
  ModelRun model_run_;
};

}  // namespace

Batch make_batch(const RunSpec& spec) {
  Batch batch;
  batch.new_tokens = spec.new_tokens;
  std::size_t above_begin = 0;
  std::int64_t above = 0;
  for (const TreeLevel& level : spec.tree) {
    const std::size_t begin = batch.nodes.size();
    for (std::int64_t i = 0; i < level.nodes; ++i) {
      const int parent =
          above == 0 ? -1 : static_cast<int>(above_begin + static_cast<std::size_t>(i * above / level.nodes));
      const auto stream = static_cast<std::uint32_t>(batch.nodes.size());
      batch.nodes.push_back({parent, random_tokens(spec, stream, level.length)});
    }
    above_begin = begin;
    above = level.nodes;
  }
  const auto first_prompt = static_cast<std::uint32_t>(1) << 31;
  for (std::int64_t s = 0; s < spec.batch; ++s) {
    const int node =
        above == 0 ? -1 : static_cast<int>(above_begin + static_cast<std::size_t>(s * above / spec.batch));
    batch.sequences.push_back(
        {node, random_tokens(spec, first_prompt + static_cast<std::uint32_t>(s), spec.suffix)});
  }
  return batch;
}

std::unique_ptr<Workload> make_generate_workload(const PlannedRun& run, const WorkloadContext& context) {
  return std::make_unique<Generate>(run, context);
}

}  // namespace hydrajob
