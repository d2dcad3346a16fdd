#include "sched/group.hpp"

#include <exception>
#include <optional>
#include <utility>

#include <fmt/format.h>

#include "base/log.hpp"
#include "comm/device_group.hpp"
#include "sched/backoff.hpp"
#include "sched/run_execution.hpp"
#include "store/store.hpp"
#include "workload/model_cache.hpp"

namespace hydrajob {
namespace {

// The leader asks for work with the report of the last, and passes the order on.
RunOrder next_order(Communicator& world, Communicator& group, const RunReport& report) {
  if (group.rank() != 0) return decode_run_order(wait_for_message(group, Tag::relay).second);
  world.send(encode(report), 0, Tag::request);
  const std::string order = wait_for_message(world, Tag::order).second;
  for (int r = 1; r < group.size(); ++r) group.send(order, r, Tag::relay);
  return decode_run_order(order);
}

double metric(const RunRecord& record, const char* name) {
  const auto found = record.metrics.find(name);
  return found == record.metrics.end() ? 0.0 : found->second.value;
}

// What decides how fast the run is called; 0 where it measured none.
double headline_s(const RunRecord& record) {
  for (const char* name : {"decode_step.median", "attention.median", "prefill.median"}) {
    if (const double seconds = metric(record, name); seconds > 0) return seconds;
  }
  return 0;
}

// Commits the leader's record and says how it went.
RunReport commit(const RunRecord& record, const RunOrder& order, const SweepContext& sweep) {
  RunReport report;
  report.outcome = RunReport::Outcome::stored;
  report.run = order.run;
  report.attempt = order.attempt;
  report.status = record.status;
  report.reason = record.reason;
  report.wall_s = metric(record, "wall_s");
  report.headline_s = headline_s(record);
  try {
    commit_segment(sweep.store, record);
    log::debug(fmt::format("run {}: stored", record.run_id.substr(0, 8)));
  } catch (const std::exception& e) {
    report.outcome = RunReport::Outcome::not_stored;
    report.reason = e.what();
  }
  return report;
}

RunReport do_run(const RunOrder& order, int group_number, DeviceGroup& group, Communicator& world,
                 ModelCache& models, const SweepContext& sweep) {
  try {
    const RunRecord record = execute_run(order, group_number, group, world, models, sweep);
    return group.host().rank() == 0 ? commit(record, order, sweep) : RunReport{};
  } catch (const Interrupted&) {
    RunReport report;
    report.outcome = RunReport::Outcome::abandoned;
    report.run = order.run;
    report.attempt = order.attempt;
    return report;
  }
}

void work_in_stage(Communicator& world, int degree, const SweepContext& sweep) {
  const int group_number = world.rank() / degree;
  const int n_groups = world.size() / degree;
  DeviceGroup group(world.split(std::min(group_number, n_groups)));
  if (group_number >= n_groups) {
    log::debug(
        fmt::format("tensor_parallel {}: too few ranks for another group, idle until the next", degree));
    return;
  }
  log::debug(
      fmt::format("tensor_parallel {}: rank {} of group {}", degree, group.host().rank(), group_number));
  ModelCache models;
  RunReport report;
  for (;;) {
    const RunOrder order = next_order(world, group.host(), report);
    if (order.run == RunOrder::none) return;
    report = do_run(order, group_number, group, world, models, sweep);
    sweep.between_runs();
  }
}

}  // namespace

int work_in_groups(Communicator& world, const SweepContext& sweep) {
  for (;;) {
    const StageOrder stage = decode_stage_order(wait_for_message(world, Tag::stage).second);
    if (stage.degree == 0) return stage.exit_code;
    work_in_stage(world, stage.degree, sweep);
  }
}

}  // namespace hydrajob
