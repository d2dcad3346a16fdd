#include "sched/sweep.hpp"

#include <algorithm>
#include <optional>
#include <thread>
#include <unistd.h>
#include <utility>
#include <vector>

#include <fmt/format.h>

#include "base/log.hpp"
#include "base/process.hpp"
#include "base/units.hpp"
#include "comm/threads.hpp"
#include "grid/described_machine.hpp"
#include "sched/agree.hpp"
#include "sched/backoff.hpp"
#include "sched/dispatcher.hpp"
#include "sched/ledger.hpp"
#include "sched/messages.hpp"
#include "sched/peers.hpp"
#include "sched/progress.hpp"
#include "sched/provenance.hpp"
#include "sched/stop.hpp"
#include "store/lease.hpp"
#include "tokenizer/tokenizer.hpp"
#include "weights/model_text.hpp"
#include "weights/weight_source.hpp"

namespace hydrajob {
namespace {

std::string digest_of_weights(const std::string& path) {
  return describe_model(path).digest;
}
WeightsContent content_of_weights(const std::string& path) {
  const ModelDescription model = describe_model(path);
  return {model.architecture, model.split};
}
std::shared_ptr<Tokenizer> tokenizer_of_weights(const std::string& path) {
  const auto file = read_model_text(path).tokenizer;
  if (!file) return nullptr;
  return make_tokenizer(file->kind, file->bytes, path + "/tokenizer");
}

// Every rank plans for itself, and orders name a run by its place in the plan: nodes with other files would
// do other runs under the same name. What follows the configuration's text is collective, so it comes first.
void expect_same_configuration(Communicator& world, const Experiment& experiment,
                               const std::filesystem::path& store) {
  expect_same(world, experiment.resolved_text + store.string(), "reads another configuration or store",
              "the configuration and its variables");
}

void expect_same_runs(Communicator& world, const Plan& plan) {
  std::string ids;
  for (const PlannedRun& run : plan.runs) ids += run.spec.id;
  expect_same(world, ids, "plans other runs", "models, weights and hydrajob itself");
}

// World rank 0's part: the store, what it knows, and the thread that hands out the runs.
class Head {
 public:
  Head(Communicator& world, const Peers& peers, const SweepContext& sweep, const SweepOptions& options)
      : store_(sweep.store, Lease::sure_wait_s),
        ledger_(store_, sweep.plan,
                {sweep.store, options.rerun_failed, sweep.watch.longest_run_s(), sweep.config_text,
                 sweep.environment}),
        progress_(sweep.plan, static_cast<std::int64_t>(ledger_.pending().size()), progress_style()),
        dispatcher_(world, peers, sweep.plan, ledger_, sweep.watch, progress_, {options.max_fails}) {
    describe_start(sweep);
  }

  void start() {
    thread_ = std::thread([this] { dispatcher_.run(); });
  }

  // What fails here fails again at the end, and is told there.
  void checkpoint() noexcept {
    try {
      store_.checkpoint();
    } catch (const std::exception& e) {
      log::warning(fmt::format("no checkpoint: {}", e.what()));
    }
  }

  // Waits for the thread, then builds the one file. Throws StoreError.
  void finish() {
    thread_.join();
    store_.compact();
  }

  void say_summary(const std::filesystem::path& store) {
    progress_.note(fmt::format("{}; store {}", summary(), store.string()));
  }

 private:
  std::string summary() const {
    std::string text = fmt::format("{} runs done", progress_.done() - progress_.failed());
    const auto add = [&](std::int64_t n, const char* what) {
      if (n > 0) text += fmt::format(", {} {}", n, what);
    };
    add(ledger_.found_done(), "done before");
    add(progress_.failed() + ledger_.found_failed() + ledger_.crashed(), "failed");
    add(ledger_.skipped() + ledger_.too_long(), "skipped");
    add(static_cast<std::int64_t>(ledger_.pending().size()) - progress_.done(), "still to do");
    return text;
  }

  void describe_start(const SweepContext& sweep) const {
    for (const std::string& note : sweep.plan.notes) log::info(note);
    log::info(fmt::format("{} runs: {} to do, {} done before, {} failed before, {} skipped",
                          sweep.plan.runs.size(), ledger_.pending().size(), ledger_.found_done(),
                          ledger_.found_failed() + ledger_.crashed(),
                          ledger_.skipped() + ledger_.too_long()));
    warn_of_skipped();
    if (ledger_.too_long() > 0) {
      log::warning(
          fmt::format("{} runs are skipped: predicted to take longer than the {} that a run of this "
                      "job can have; a start with more time does them",
                      ledger_.too_long(), format_seconds(sweep.watch.longest_run_s())));
    }
  }

  // Needs of memory differ from run to run: the most frequent reasons, where there are many.
  void warn_of_skipped() const {
    constexpr std::size_t most_shown = 10;
    std::vector<std::pair<std::string, std::int64_t>> reasons(ledger_.skip_reasons().begin(),
                                                              ledger_.skip_reasons().end());
    std::stable_sort(reasons.begin(), reasons.end(),
                     [](const auto& a, const auto& b) { return a.second > b.second; });
    std::int64_t others = 0;
    for (std::size_t i = 0; i < reasons.size(); ++i) {
      const auto& [reason, runs] = reasons[i];
      if (i < most_shown) {
        log::warning(fmt::format("{} run{} skipped: {}", runs, runs == 1 ? "" : "s", reason));
      } else {
        others += runs;
      }
    }
    if (others > 0) {
      log::warning(fmt::format("{} more runs skipped, for {} other reasons: the store and --dry-run tell",
                               others, reasons.size() - most_shown));
    }
  }

  Store store_;
  Ledger ledger_;
  Progress progress_;
  Dispatcher dispatcher_;
  std::thread thread_;
};

// Rank 0 may have to wait for another job's lease: the others sleep until it has the store or has failed, so
// that the job that measures has its cores.
template <class Open>
void open_store(Communicator& world, const Open& open) {
  if (world.rank() != 0) {
    wait_for_message(world, Tag::store_open);
    return;
  }
  const auto wake_others = [&] {
    for (int rank = 1; rank < world.size(); ++rank) world.send("", rank, Tag::store_open);
  };
  try {
    open();
  } catch (...) {
    wake_others();
    throw;
  }
  wake_others();
}

// Whatever went wrong while closing the store, ranks leave with one code.
ExitCode finish(Communicator& world, Head* head, const SweepContext& sweep, int exit_code) {
  agreed(world, [&] {
    if (head) head->finish();
  });
  if (head) head->say_summary(sweep.store);
  return static_cast<ExitCode>(exit_code);
}

}  // namespace

PlanRequest plan_request(const SweepOptions& options, int ranks) {
  PlanRequest request;
  request.ranks = ranks;
  request.devices = visible_devices();
  request.code_digest = code_digest();
  request.weights_digest = digest_of_weights;
  request.weights_content = content_of_weights;
  request.read_tokenizer = tokenizer_of_weights;
  request.only = options.only;
  request.exclude = options.exclude;
  return request;
}

PlanRequest plan_request(const SweepOptions& options, int ranks, const Machine& machine,
                         const CeilingsByDevice& ceilings) {
  PlanRequest request = plan_request(options, ranks);
  request.ranks_per_node = machine.ranks_per_node();
  request.ceilings_of = ceilings;
  request.devices = machine.devices();
  return request;
}

PlanRequest plan_request(const SweepOptions& options, int ranks, const MachineDescription& machine) {
  PlanRequest request = plan_request(options, ranks);
  request.ranks_per_node = static_cast<int>(machine.links.ranks_per_node);
  request.ceilings_of = ceilings_of(machine, ranks);
  request.devices = {machine.device};
  return request;
}

ExitCode run_sweep(const Experiment& experiment, const SweepOptions& options, Communicator& world,
                   const WorkloadFactory& factory) {
  StopWatch watch(options.time_limit_s);
  const std::filesystem::path store = options.store.empty() ? experiment.store : options.store;
  expect_same_configuration(world, experiment, store);
  const Machine machine(world, experiment, {options.threads, 0, options.share_gpus});
  log::info(fmt::format("{} rank{}, {} thread{} each", world.size(), world.size() == 1 ? "" : "s",
                        machine.threads(), machine.threads() == 1 ? "" : "s"));
  log::debug(fmt::format("rank {} of {}: process {} on {}, cores {}", world.rank(), world.size(), getpid(),
                         host_name(), affinity_list()));
  const CeilingsByDevice ceilings = machine.ceilings(world, experiment);
  log::debug("ceilings measured");
  const Plan plan = agreed(
      world, [&] { return make_plan(experiment, plan_request(options, world.size(), machine, ceilings)); });
  expect_same_runs(world, plan);
  log::debug(fmt::format("{} runs planned", plan.runs.size()));
  agreed(world, [&] { machine.reserve(plan); });
  SweepContext sweep{plan,
                     machine,
                     ceilings,
                     factory,
                     watch,
                     store,
                     experiment.resolved_text,
                     describe_environment(world, machine, ceilings, options.command_line),
                     options.hang_limit_s};
  const Peers peers(world);
  std::optional<Head> head;
  agreed(world, [&] { open_store(world, [&] { head.emplace(world, peers, sweep, options); }); });
  if (head) {
    sweep.between_runs = [&head] { head->checkpoint(); };
    head->start();
  }
  const int exit_code = work_in_groups(world, sweep);
  log::debug(fmt::format("no more runs, exit code {}", exit_code));
  return finish(world, head ? &*head : nullptr, sweep, exit_code);
}

}  // namespace hydrajob
