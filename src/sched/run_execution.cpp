#include "sched/run_execution.hpp"

#include <chrono>
#include <exception>
#include <new>
#include <optional>
#include <string>

#include <fmt/format.h>

#include "base/error.hpp"
#include "base/log.hpp"
#include "base/units.hpp"
#include "comm/launcher.hpp"
#include "sched/backoff.hpp"
#include "sched/hang_watch.hpp"
#include "store/store.hpp"

namespace hydrajob {
namespace {

// A run that had this part of its job's time when it began gets no more from another job.
constexpr double nearly_whole = 0.8;
constexpr std::chrono::seconds longest_wait_for_dispatcher(5);

struct Failure {
  RunStatus status = RunStatus::failed;
  std::string reason;
};

// What the exception in flight means for the run.
Failure current_failure() {
  try {
    throw;
  } catch (const TimeLimit& e) {
    return {RunStatus::timed_out, e.what()};
  } catch (const OutOfMemory& e) {
    return {RunStatus::out_of_memory, e.what()};
  } catch (const std::bad_alloc&) {
    return {RunStatus::out_of_memory, "the host's memory cannot be had (std::bad_alloc)"};
  } catch (const std::exception& e) {
    return {RunStatus::failed, e.what()};
  } catch (...) {
    return {RunStatus::failed, "an exception that is no std::exception"};
  }
}

double unix_now_s() {
  using std::chrono::duration;
  return duration<double>(std::chrono::system_clock::now().time_since_epoch()).count();
}

class RunExecution {
 public:
  RunExecution(const RunOrder& order, int group_number, DeviceGroup& group, Communicator& world,
               const SweepContext& sweep)
      : order_(order),
        run_(sweep.plan.runs[static_cast<std::size_t>(order.run)]),
        group_number_(group_number),
        device_group_(group),
        group_(group.host()),
        world_(world),
        sweep_(sweep) {}

  RunRecord execute(ModelCache& models) {
    note(fmt::format("attempt {} in group {}: {}", order_.attempt, group_number_,
                     to_string(run_.spec.parameters)));
    hang_.enter("preparing");
    std::unique_ptr<Workload> workload;
    std::optional<Failure> failure = agree([&] {
      workload = sweep_.factory(run_, context(models));
      workload->prepare();
    });
    if (!failure) failure = agree([&] { workload->connect(); });
    if (failure) {
      end_on_a_dead_device(*failure);
      return failed(*failure);
    }
    note("prepared");
    hang_.enter("measuring");
    return measure(*workload);
  }

 private:
  // For this rank's log: the agreed record holds one rank's story only.
  void note(const std::string& what) const {
    log::debug(fmt::format("run {}: {}", run_.spec.id.substr(0, 8), what));
  }

  WorkloadContext context(ModelCache& models) {
    WorkloadContext context;
    const Processor& processor = sweep_.machine.processor(run_.spec.device);
    context.engine = {processor.device.get(), processor.kernels.get(), &device_group_.on(*processor.device)};
    context.ceilings = sweep_.ceilings.at(run_.spec.device).at(run_.spec.dtype);
    context.models = &models;
    context.threads = sweep_.machine.threads();
    context.check_time = [this,
                          check = make_time_check(group_, sweep_.watch, run_.spec.timeout_s)]() mutable {
      hang_.alive();
      check();
    };
    return context;
  }

  // Runs `step` on every rank; the first failing rank's failure on all.
  template <class Step>
  std::optional<Failure> agree(const Step& step) {
    std::string mine;
    try {
      step();
    } catch (...) {
      const Failure failure = current_failure();
      note("this rank failed: " + failure.reason);
      const std::string where = group_.size() > 1 ? fmt::format("rank {}: ", world_.rank()) : "";
      mine = to_string(failure.status) + "\n" + where + failure.reason;
    }
    const std::string first = agree_on_error(group_, mine);
    if (first.empty()) return std::nullopt;
    const auto end = first.find('\n');
    return Failure{parse_run_status(first.substr(0, end)), first.substr(end + 1)};
  }

  RunRecord measure(Workload& workload) {
    try {
      return complete(workload.measure());
    } catch (const Interrupted&) {
      if (had_the_whole_job()) return failed(whole_job_was_not_enough());
      note("abandoned");
      throw;
    } catch (const TimeLimit& e) {
      return failed({RunStatus::timed_out, e.what()});
    } catch (...) {
      const Failure failure = current_failure();
      if (group_.size() > 1) end_the_job(failure);
      end_on_a_dead_device(failure);
      return failed(failure);
    }
  }

  // Adds to a measured record what the workload does not know. On other ranks than 0 the record is left
  // empty.
  RunRecord complete(RunRecord measured) const {
    note("measured");
    if (group_.rank() != 0) return {};
    RunRecord record = planned_record(run_, sweep_.config_text, sweep_.environment);
    record.metrics.merge(measured.metrics);
    record.samples = std::move(measured.samples);
    record.convergence = std::move(measured.convergence);
    return stamp(std::move(record));
  }

  RunRecord failed(const Failure& failure) const {
    note(fmt::format("{}: {}", to_string(failure.status), failure.reason));
    if (group_.rank() != 0) return {};
    return failure_record(failure);
  }

  RunRecord failure_record(const Failure& failure) const {
    RunRecord record = planned_record(run_, sweep_.config_text, sweep_.environment);
    record.status = failure.status;
    record.reason = failure.reason;
    return stamp(std::move(record));
  }

  RunRecord stamp(RunRecord record) const {
    record.attempt = order_.attempt;
    record.group = group_number_;
    record.first_rank = group_number_ * group_.size();
    record.started_unix_s = started_unix_s_;
    record.finished_unix_s = unix_now_s();
    record.metrics["wall_s"] = {record.finished_unix_s - started_unix_s_, "s",
                                "the run whole, loading included"};
    return record;
  }

  // The job's time is over, and this run had nearly all of it: begun again it would end so each time.
  // Collective: each rank has a clock and a margin of its own, and all have to end the run alike.
  bool had_the_whole_job() const {
    const bool is_over = sweep_.watch.seconds_left() <= 0;
    const bool had_all = seconds_left_at_start_ >= nearly_whole * sweep_.watch.longest_run_s();
    return group_.all_reduce_max(is_over ? 1 : 0) > 0 && group_.all_reduce_max(had_all ? 1 : 0) > 0;
  }

  Failure whole_job_was_not_enough() const {
    return {RunStatus::timed_out, fmt::format("not done after {}, nearly the whole time of its job",
                                              format_seconds(unix_now_s() - started_unix_s_))};
  }

  // So that runs of other groups do not count as crashed. A dispatcher that does not answer has troubles of
  // its own.
  void say_last_words() {
    world_.send(encode(LastWords{order_.run}), 0, Tag::last_words);
    const auto patience = std::chrono::steady_clock::now() + longest_wait_for_dispatcher;
    Backoff backoff;
    while (!world_.try_receive(Tag::heard) && std::chrono::steady_clock::now() < patience) backoff.pause();
  }

  // Every later run would fail on it too, and at once: this group would take all that are left.
  void end_on_a_dead_device(const Failure& failure) {
    Device& device = *sweep_.machine.processor(run_.spec.device).device;
    if (!device.usable()) {
      end_the_job(
          {failure.status, fmt::format("{}; {} is of no use any more", failure.reason, device.name())});
    }
  }

  // Its peers are waited for where nothing can be agreed on any more. The run counts as crashed.
  void end_on_a_hang(const std::string& phase) {
    log::error(fmt::format(
        "rank {}: run {}: nothing has happened for {} (--hang-limit) while {}: this job cannot go on",
        world_.rank(), run_.spec.id.substr(0, 8), format_seconds(hang_limit_s_), phase));
    say_last_words();
    world_.abort(static_cast<int>(lost_job_code()));
  }

  void end_the_job(const Failure& failure) {
    log::error(fmt::format("rank {} failed, its group cannot go on: {}", world_.rank(), failure.reason));
    try {
      commit_segment(
          sweep_.store,
          failure_record({failure.status, fmt::format("rank {}: {}", world_.rank(), failure.reason)}));
    } catch (const std::exception& e) {
      log::error(e.what());
    }
    say_last_words();
    world_.abort(static_cast<int>(lost_job_code()));
  }

  RunOrder order_;
  const PlannedRun& run_;
  int group_number_;
  DeviceGroup& device_group_;
  Communicator& group_;
  Communicator& world_;
  const SweepContext& sweep_;
  double started_unix_s_ = unix_now_s();
  double seconds_left_at_start_ = sweep_.watch.seconds_left();
  double hang_limit_s_ = hang_limit_s(sweep_.hang_limit_s, run_.spec.device);
  HangWatch hang_{hang_limit_s_, [this](const std::string& phase) { end_on_a_hang(phase); }};
};

}  // namespace

RunRecord planned_record(const PlannedRun& run, const std::string& config_text,
                         const std::string& environment) {
  RunRecord record;
  record.run_id = run.spec.id;
  record.experiment = run.spec.experiment;
  record.parameters = run.spec.parameters;
  record.config_text = config_text;
  record.environment = environment;
  record.metrics["predicted_s"] = {run.cost.predicted_s, "s", "predicted time of the run at the roofline"};
  record.metrics["memory_planned_bytes"] = {run.cost.memory.total(), "B", "memory planned, one rank"};
  return record;
}

RunRecord execute_run(const RunOrder& order, int group_number, DeviceGroup& group, Communicator& world,
                      ModelCache& models, const SweepContext& sweep) {
  return RunExecution(order, group_number, group, world, sweep).execute(models);
}

}  // namespace hydrajob
