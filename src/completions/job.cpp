#include "completions/job.hpp"

#include <algorithm>
#include <chrono>
#include <iostream>
#include <iterator>
#include <utility>

#include <fmt/format.h>

#include "base/error.hpp"
#include "base/file.hpp"
#include "base/log.hpp"
#include "base/units.hpp"
#include "comm/device_group.hpp"
#include "comm/launcher.hpp"
#include "completions/generator.hpp"
#include "completions/progress.hpp"
#include "completions/results.hpp"
#include "completions/task.hpp"
#include "completions/waves.hpp"
#include "grid/constraints.hpp"
#include "grid/run_spec.hpp"
#include "sched/agree.hpp"
#include "sched/hang_watch.hpp"
#include "sched/machine.hpp"
#include "sched/stop.hpp"
#include "weights/weight_source.hpp"
#include "workload/model_cache.hpp"

namespace hydrajob {
namespace {

// Of what the device has left: buffers end at pages, and the count is within 3 %.
constexpr double memory_used_at_most = 0.95;

// Rank 0's text on all ranks. Collective.
std::string shared_text(Communicator& world, const std::string& mine) {
  return world.all_gather(world.rank() == 0 ? mine : std::string()).front();
}

std::string read_all(const std::filesystem::path& input) {
  if (input != "-") return read_file(input);
  std::string text{std::istreambuf_iterator<char>(std::cin), std::istreambuf_iterator<char>()};
  if (std::cin.bad()) throw UsageError("standard input: reading it failed");
  return text;
}

void check_degree(const Architecture& a, int degree) {
  const std::string problem = heads_split_problem(a.n_heads, a.n_kv_heads, a.intermediate, degree);
  if (!problem.empty()) throw UsageError(fmt::format("{}: {} ranks: {}", a.name, degree, problem));
}

// The numbers of those that rank 0 does not have. Collective.
std::vector<std::int64_t> numbers_to_do(Communicator& world, const std::optional<Results>& results,
                                        std::int64_t completions) {
  std::string there;
  for (std::int64_t number = 0; results && number < completions; ++number)
    there += results->has(number) ? '1' : '0';
  there = shared_text(world, there);
  std::vector<std::int64_t> numbers;
  for (std::int64_t number = 0; number < completions; ++number) {
    if (there[static_cast<std::size_t>(number)] == '0') numbers.push_back(number);
  }
  return numbers;
}

// What was done, for the last line.
struct Totals {
  std::int64_t completions = 0;
  std::int64_t tokens = 0;
  std::int64_t prompt_tokens = 0;  // of all completions, each by itself
  std::int64_t computed = 0;       // of them
  std::int64_t waves = 0;
  bool is_interrupted = false;
};

class Execution {
 public:
  Execution(const CompletionJob& job, const Task& task, Communicator& world, StopWatch& watch,
            std::optional<Results>& results)
      : job_(job),
        task_(task),
        world_(world),
        watch_(watch),
        results_(results),
        machine_(world, job.device, {job.threads, 0, false}),
        group_(world.split(0)),
        hang_limit_s_(hang_limit_s(job.hang_limit_s, machine_.device())),
        hang_(hang_limit_s_, [this](const std::string& phase) { end_on_a_hang(phase); }) {}

  Totals run(const std::vector<std::int64_t>& numbers) {
    const EngineContext context = engine_context();
    hang_.enter("loading the weights");
    Generator generator(load(context), context, source(), time_check());
    weights_bytes_ = static_cast<double>(context.device->memory_held());
    const WavePlan plan(task_.requests, numbers, worth_sharing());
    WaveSize size = fitting(plan, job_.batch, context);
    say_start(plan, size);
    const ProgressStyle style = world_.rank() == 0 ? progress_style() : ProgressStyle::lines;
    CompletionProgress progress(task_.completions(), task_.completions() - plan.size(), style);
    totals_.prompt_tokens = plan.prompt_tokens();
    for (std::int64_t first = 0; first < plan.size() && !is_told_to_stop();) {
      const Wave wave = plan.wave(first, size.batch);
      hang_.enter("generating");
      try {
        first += take(generator.run(wave, options(size), show(progress)), progress);
      } catch (const OutOfMemory& e) {
        if (size.batch == 1) throw AgreedError(ExitCode::runs_failed, e.what());
        size = fitting(plan, (size.batch + 1) / 2, context);
        warn(fmt::format("{}; goes on with {} completions at once", e.what(), size.batch));
      }
      if (totals_.is_interrupted) break;
    }
    return totals_;
  }

 private:
  EngineContext engine_context() {
    const std::string device = machine_.device();
    if (device.empty()) throw AgreedError(ExitCode::usage, "--device " + job_.device + ": there is none");
    const Processor& processor = machine_.processor(device);
    return {processor.device.get(), processor.kernels.get(), &group_.on(*processor.device)};
  }

  // Before the prefill and every step; a GPU goes some steps ahead of the host, which then waits for it.
  std::function<void()> time_check() {
    return [this, check = make_time_check(group_.host(), watch_, 0)] {
      hang_.alive();
      check();
    };
  }

  // Nothing can be agreed on with a peer that may hang. What was finished is in the output's journal.
  void end_on_a_hang(const std::string& phase) {
    log::error(
        fmt::format("rank {}: nothing has happened for {} (--hang-limit) while {}: this job cannot go on",
                    world_.rank(), format_seconds(hang_limit_s_), phase));
    world_.abort(static_cast<int>(lost_job_code()));
  }

  std::shared_ptr<const Model> load(const EngineContext& context) const {
    return agreed(world_, [&] {
      const auto source = open_model_file(job_.model, machine_.threads(), world_.rank(), world_.size());
      return load_model(*source, task_.dtype, rows_to_pack_for, context);
    });
  }

  Generator::Source source() const {
    return {[this](std::int64_t n) -> const EndRules& { return task_.rules[task_.request_of(n)]; },
            [this](std::int64_t n) -> const Request& { return task_.requests[task_.request_of(n)]; },
            task_.tokenizer.get()};
  }

  // As the whole model would share, so that the tree is the same at every degree.
  WorthSharing worth_sharing() const {
    const Architecture& a = task_.model.architecture;
    return [a, dtype = task_.dtype](std::int64_t sequences, std::int64_t tokens) {
      return sharing_pays(sequences, tokens, a.n_heads, a.n_kv_heads, a.head_dim, dtype);
    };
  }

  WaveSize fitting(const WavePlan& plan, std::int64_t most, const EngineContext& context) const {
    Ceilings ceilings;
    const AttentionCuts cuts = context.kernels->attention_cuts();
    ceilings.shortest_part = static_cast<double>(cuts.shortest_part);
    ceilings.spare_results = static_cast<double>(cuts.spare_results);
    const WaveMemory memory{task_.model.architecture,
                            world_.size(),
                            task_.dtype,
                            machine_.device(),
                            task_.sampling,
                            default_prefill_chunk(machine_.device()),
                            ceilings};
    const auto available = static_cast<double>(context.device->memory_available());
    const double free = world_.all_reduce_min(available - weights_bytes_);
    return largest_that_fits(plan, most, memory, memory_used_at_most * free);
  }

  GenerateOptions options(const WaveSize& size) const {
    GenerateOptions options;
    options.mode = Mode::automatic;
    options.sampling = task_.sampling;
    options.prefill_chunk = default_prefill_chunk(machine_.device());
    options.keep_shared = true;
    options.cache_tokens = size.cache_tokens;
    return options;
  }

  std::function<void(std::int64_t, std::int64_t)> show(CompletionProgress& progress) const {
    return [this, &progress](std::int64_t finished, std::int64_t tokens) {
      if (world_.rank() == 0) progress.show(finished, totals_.tokens + tokens);
    };
  }

  // Returns how many completions the wave is ahead.
  std::int64_t take(WaveResult result, CompletionProgress& progress) {
    const auto n = static_cast<std::int64_t>(result.completions.size());
    for (const Completion& c : result.completions)
      totals_.tokens += static_cast<std::int64_t>(c.tokens.size());
    totals_.completions += n;
    totals_.computed += result.tokens_computed;
    totals_.is_interrupted = result.is_interrupted;
    ++totals_.waves;
    log::debug(fmt::format("batch {}: {} completions, {} prompt tokens computed, {} kept in the cache",
                           totals_.waves, n, result.tokens_computed, result.tokens_kept));
    agreed(world_, [&] {
      if (results_) results_->add(std::move(result.completions));
    });
    progress.add(n);
    if (world_.rank() == 0) progress.show(0, totals_.tokens);
    return n;
  }

  // Between waves a warning is enough.
  bool is_told_to_stop() {
    const bool stops = world_.all_reduce_max(watch_.asked() == Stop::no ? 0 : 1) > 0;
    totals_.is_interrupted = totals_.is_interrupted || stops;
    return stops;
  }

  void warn(const std::string& message) const {
    if (world_.rank() == 0) log::warning(message);
  }

  void say_start(const WavePlan& plan, const WaveSize& size) const {
    if (world_.rank() != 0) return;
    const Architecture& a = task_.model.architecture;
    log::info(fmt::format("{} {} on {}, {} rank{}, temperature {}, top-p {}, seed {}", a.name,
                          name_of(task_.dtype), machine_.device(), world_.size(),
                          world_.size() == 1 ? "" : "s", task_.sampling.temperature, task_.sampling.top_p,
                          task_.sampling.seed));
    const bool repeats =
        std::any_of(task_.requests.begin(), task_.requests.end(), [](const Request& r) { return r.n > 1; });
    if (repeats && task_.sampling.temperature == 0)
      log::warning("temperature 0: all completions of a prompt are the same");
    const std::int64_t before = task_.completions() - plan.size();
    log::info(fmt::format(
        "{} prompts, {} completions to do, {} done before; {} prompt tokens, {} without what "
        "is shared; {} at once",
        task_.requests.size(), plan.size(), before, plan.prompt_tokens(), plan.tree_tokens(), size.batch));
  }

  const CompletionJob& job_;
  const Task& task_;
  Communicator& world_;
  StopWatch& watch_;
  std::optional<Results>& results_;
  Machine machine_;
  DeviceGroup group_;
  double weights_bytes_ = 0;  // and what else is held before the first wave
  Totals totals_;
  double hang_limit_s_;
  HangWatch hang_;
};

void say_end(const Totals& totals, double seconds, const CompletionJob& job) {
  log::info(fmt::format(
      "{} completions in {} batch{}, {} tokens in {}: {:.1f} tokens/s; {} of {} prompt tokens "
      "computed{}",
      totals.completions, totals.waves, totals.waves == 1 ? "" : "es", totals.tokens, format_seconds(seconds),
      static_cast<double>(totals.tokens) / seconds, totals.computed, totals.prompt_tokens,
      job.output.empty() || totals.is_interrupted ? "" : "; " + job.output.string()));
}

void say_interrupted(std::int64_t to_do, const StopWatch& watch, const Results& results) {
  log::warning(fmt::format("interrupted ({}): {} completions are to do still; {}", watch.reason(), to_do,
                           results.where_kept()));
}

// What the job's input holds. Collective.
std::string read_input(const CompletionJob& job, Communicator& world) {
  const std::string input = agreed(
      world, [&] { return job.levels.empty() && world.rank() == 0 ? read_all(job.input) : std::string(); });
  return shared_text(world, input);
}

// Collective.
Task read_task(const CompletionJob& job, const std::string& input, Communicator& world) {
  Task task = agreed(world, [&] { return make_task(job, input); });
  expect_same(world, task.id, "has another model or other options", "the model and the options");
  agreed(world, [&] { check_degree(task.model.architecture, world.size()); });
  return task;
}

// All completions were there before. Collective.
void finish_at_once(Communicator& world, std::optional<Results>& results, const CompletionJob& job) {
  agreed(world, [&] {
    if (results && !results->is_done()) results->finish();
  });
  if (world.rank() == 0) log::info(job.output.string() + ": all completions are there");
}

}  // namespace

ExitCode generate_completions(const CompletionJob& job, Communicator& world) {
  // Before signals only ask to stop: who waits for standard input would not see them.
  const std::string input = read_input(job, world);
  StopWatch watch(job.time_limit_s);
  const Task task = read_task(job, input, world);
  std::optional<Results> results;
  agreed(world, [&] {
    if (world.rank() == 0) results.emplace(job, task);
  });
  const std::vector<std::int64_t> numbers = numbers_to_do(world, results, task.completions());
  if (numbers.empty()) {
    finish_at_once(world, results, job);
    return ExitCode::ok;
  }
  const auto begin = std::chrono::steady_clock::now();
  const Totals totals = Execution(job, task, world, watch, results).run(numbers);
  agreed(world, [&] {
    if (!results) return;
    totals.is_interrupted ? results->print() : results->finish();
  });
  const std::chrono::duration<double> seconds = std::chrono::steady_clock::now() - begin;
  if (results) {
    if (totals.completions > 0) say_end(totals, seconds.count(), job);
    const auto to_do = static_cast<std::int64_t>(numbers.size()) - totals.completions;
    if (totals.is_interrupted) say_interrupted(to_do, watch, *results);
  }
  return totals.is_interrupted ? ExitCode::interrupted : ExitCode::ok;
}

}  // namespace hydrajob
