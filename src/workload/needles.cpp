#include "workload/needles.hpp"

#include <cstddef>
#include <string>

#include <fmt/format.h>

#include "needles/accuracy.hpp"
#include "needles/token_needles.hpp"
#include "timing/statistics.hpp"
#include "workload/iterations.hpp"
#include "workload/metrics.hpp"
#include "workload/model_run.hpp"

namespace hydrajob {
namespace {

// The phases, with the reference's names for them: prefix_prefill (its prefill_time), unique_prefill (its
// unique_prefill_times), decode_step, and of the last two the total (its times).
constexpr const char* prefix_phase = "prefix_prefill";
constexpr const char* unique_phase = "unique_prefill";

class Needles final : public Workload {
 public:
  Needles(const PlannedRun& run, const WorkloadContext& context)
      : run_(run), context_(context), model_run_(run_, context_) {}

  void prepare() override {
    task_ = needle_task(run_.spec);
    model_run_.prepare(make_needle_batch(*task_, run_.spec));
  }

  void connect() override { model_run_.connect(); }

  RunRecord measure() override {
    read_document();
    auto samples = repeat(
        run_.spec, model_run_.recorder(), [&](std::int32_t i, bool warmup) { answer(i, warmup); },
        [](const std::vector<PhaseSample>& s) { return totals(s); });
    add_totals(samples, unique_phase);
    RunRecord record;
    if (context_.engine.group->rank() == 0) fill(record, samples);
    return record;
  }

 private:
  void read_document() {
    Engine& engine = model_run_.engine();
    model_run_.recorder().observe(
        model_run_.time_phase(prefix_phase, 0, false, [&] { engine.prefill_tree(); }));
  }

  // All questions at once.
  void answer(std::int32_t iteration, bool warmup) {
    Engine& engine = model_run_.engine();
    model_run_.time_iteration(unique_phase, iteration, warmup, [&] { engine.prefill_prompts(); });
  }

  // Of each iteration so far.
  static std::vector<double> totals(std::vector<PhaseSample> samples) {
    add_totals(samples, unique_phase);
    return slowest_rank(samples, "total", false);
  }

  void fill(RunRecord& record, const std::vector<PhaseSample>& samples) const {
    const auto total = slowest_rank(samples, "total", false);
    const auto decode = decode_per_iteration(samples);
    add_statistics(record, prefix_phase, "prefill of the document, once",
                   slowest_rank(samples, prefix_phase, false));
    add_statistics(record, unique_phase, "prefill of the questions, first token drawn",
                   slowest_rank(samples, unique_phase, false));
    add_statistics(record, "decode_step", "one decode step", slowest_rank(samples, "decode_step", false));
    add_statistics(record, "decode", "all decode steps of an iteration", decode);
    add_statistics(record, "total", "all questions answered: their prefill and all decode steps", total);
    add_samples(record, samples);
    add_convergence(record, total, run_.spec.target_ci);
    add_decode_rate(record, run_.spec, decode);
    record.metrics["questions_per_s"] = {static_cast<double>(run_.spec.batch) / median(total), "1/s",
                                         "questions / median of total"};
    add_plan(record, run_, context_.ceilings);
    add_rooflines(record, total);
    add_memory_used(record, model_run_.memory_used());
    add_load(record, samples);
    add_accuracy(record);
  }

  void add_rooflines(RunRecord& record, const std::vector<double>& total) const {
    const RunCost& cost = run_.cost;
    const auto add = [&](const std::string& phase, double seconds) {
      record.metrics["roofline." + phase + "_s"] = {seconds, "s", phase + " at the machine's ceilings"};
    };
    add(prefix_phase, cost.document.roofline_s);
    add(unique_phase, cost.prefill.roofline_s);
    if (run_.spec.new_tokens > 1) add("decode_step", cost.decode_step.roofline_s);
    add_roofline(record, "total", cost.iteration.roofline_s, median(total));
  }

  // Of the last iteration; all give the same tokens.
  void add_accuracy(RunRecord& record) const {
    const NeedleAccuracy accuracy = accuracy_of(*task_, model_run_.engine().tokens(), run_.spec.new_tokens);
    record.metrics["accuracy"] = {accuracy.all, "1", "questions answered rightly, of all"};
    for (std::size_t i = 0; i < accuracy.decile.size(); ++i) {
      if (!accuracy.decile[i]) continue;
      record.metrics[fmt::format("accuracy.decile_{}", i)] = {
          *accuracy.decile[i], "1",
          fmt::format("of the questions whose needle stands {} % to {} % into the document", 10 * i,
                      10 * (i + 1))};
    }
  }

  PlannedRun run_;
  WorkloadContext context_;
  ModelRun model_run_;
  std::shared_ptr<const NeedleTask> task_;
};

}  // namespace

std::shared_ptr<const NeedleTask> needle_task(const RunSpec& spec) {
  if (spec.needles) return spec.needles;
  return std::make_shared<NeedleTask>(
      make_token_needles({spec.seed, spec.architecture.vocab, spec.prefix, spec.n_needles, spec.suffix}));
}

Batch make_needle_batch(const NeedleTask& task, const RunSpec& spec) {
  Batch batch;
  batch.new_tokens = spec.new_tokens;
  batch.nodes.push_back({-1, task.document});
  for (std::int64_t i = 0; i < spec.batch; ++i) {
    batch.sequences.push_back({0, task.questions[task.asked(static_cast<std::size_t>(i))].tokens});
  }
  return batch;
}

std::unique_ptr<Workload> make_needles_workload(const PlannedRun& run, const WorkloadContext& context) {
  return std::make_unique<Needles>(run, context);
}

}  // namespace hydrajob
