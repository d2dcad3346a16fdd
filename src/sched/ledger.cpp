#include "sched/ledger.hpp"

#include <chrono>
#include <utility>

#include <fmt/format.h>

#include "base/units.hpp"
#include "sched/run_execution.hpp"

namespace hydrajob {
namespace {

// A run that was in flight at this many deaths of its job is not started again.
constexpr int crashes_to_give_up = 2;

constexpr std::size_t rows_a_segment = 1000;

bool is_failure(RunStatus status) {
  return status != RunStatus::ok && status != RunStatus::skipped;
}

std::string too_long_reason(const PlannedRun& run, double longest_run_s) {
  return fmt::format("predicted to take {} at least, a run of this job can have {}",
                     format_seconds(run.cost.predicted_s), format_seconds(longest_run_s));
}

double unix_now_s() {
  using std::chrono::duration;
  return duration<double>(std::chrono::system_clock::now().time_since_epoch()).count();
}

}  // namespace

Ledger::Ledger(Store& store, const Plan& plan, const LedgerRequest& request)
    : store_(store), plan_(plan), attempts_(plan.runs.size(), 1) {
  for (std::size_t i = 0; i < plan.runs.size(); ++i) sort_run(static_cast<std::int64_t>(i), request);
  commit_rows(request);
}

void Ledger::sort_run(std::int64_t run, const LedgerRequest& request) {
  const PlannedRun& planned = plan_.runs[static_cast<std::size_t>(run)];
  const auto committed = store_.committed().find(planned.spec.id);
  const auto in_flight = store_.in_flight().find(planned.spec.id);
  const bool known = committed != store_.committed().end();
  std::int32_t last = known ? committed->second.attempt : 0;
  // A start that ended with the job's death counts unless that attempt was committed all the same.
  const bool crashed = in_flight != store_.in_flight().end() && in_flight->second.attempt > last;
  if (crashed) last = in_flight->second.attempt;
  attempts_[static_cast<std::size_t>(run)] = last + 1;

  if (known && committed->second.status == RunStatus::ok) {
    ++found_done_;
  } else if (!planned.skip_reason.empty()) {
    ++skipped_;
    ++skip_reasons_[planned.skip_reason];
    if (!known) add_row(run, RunStatus::skipped, planned.skip_reason, request);
  } else if (known && !crashed && is_failure(committed->second.status) && !request.rerun_failed) {
    ++found_failed_;
  } else if (crashed && in_flight->second.crashes >= crashes_to_give_up) {
    ++crashed_;
    attempts_[static_cast<std::size_t>(run)] = last;
    add_row(run, RunStatus::crashed, "the job died with this run in flight, twice", request);
  } else if (planned.cost.predicted_s > request.longest_run_s) {
    // The prediction is a lower bound: no start with this much time will ever do it.
    ++too_long_;
    if (!known) add_row(run, RunStatus::skipped, too_long_reason(planned, request.longest_run_s), request);
  } else {
    pending_.push_back(run);
    if (crashed) suspects_.insert(run);
  }
}

void Ledger::add_row(std::int64_t run, RunStatus status, const std::string& reason,
                     const LedgerRequest& request) {
  RunRecord record =
      planned_record(plan_.runs[static_cast<std::size_t>(run)], request.config_text, request.environment);
  record.attempt = attempt(run);
  record.status = status;
  record.reason = reason;
  record.started_unix_s = record.finished_unix_s = unix_now_s();
  rows_.push_back(std::move(record));
  if (rows_.size() == rows_a_segment) commit_rows(request);
}

void Ledger::commit_rows(const LedgerRequest& request) {
  if (rows_.empty()) return;
  commit_segment(request.store, rows_);
  for (const RunRecord& row : rows_) store_.finished(row.run_id, row.attempt, row.status);
  rows_.clear();
}

void Ledger::started(std::int64_t run, int group) {
  store_.started(id(run), attempt(run), group);
}

void Ledger::finished(const RunReport& report) {
  store_.finished(id(report.run), report.attempt, report.status);
}

void Ledger::abandoned(std::int64_t run) {
  store_.abandoned(id(run), attempt(run));
}

void Ledger::event(const std::string& text) {
  store_.event(text);
}

}  // namespace hydrajob
