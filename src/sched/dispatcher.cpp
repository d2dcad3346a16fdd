#include "sched/dispatcher.hpp"

#include <algorithm>
#include <exception>

#include <fmt/format.h>

#include "base/log.hpp"
#include "base/units.hpp"
#include "sched/backoff.hpp"

namespace hydrajob {

Dispatcher::Dispatcher(Communicator& world, const Peers& peers, const Plan& plan, Ledger& ledger,
                       StopWatch& watch, Progress& progress, const DispatchLimits& limits)
    : world_(world),
      peers_(peers),
      plan_(plan),
      ledger_(ledger),
      watch_(watch),
      progress_(progress),
      limits_(limits),
      queue_(plan, ledger.pending(), ledger.suspects()) {}

void Dispatcher::run() {
  heed_stop();
  while (!stopping_) {
    const auto stage = queue_.next_stage();
    if (!stage) break;
    serve_stage(*stage);
  }
  if (set_aside_ > 0) {
    stop(ExitCode::interrupted,
         fmt::format("{} runs are predicted to take longer than the {} left of the "
                     "job's time",
                     set_aside_, format_seconds(std::max(0.0, watch_.seconds_left()))));
  }
  send_to_all({0, static_cast<int>(exit_code())});
}

void Dispatcher::serve_stage(const Stage& stage) {
  loaded_.clear();
  send_to_all({stage.degree, 0});
  int groups_left = world_.size() / stage.degree;
  Backoff backoff;
  while (groups_left > 0) {
    heed_stop();
    heed_last_words();
    const auto message = world_.try_receive(Tag::request);
    if (!message) {
      backoff.pause();
      continue;
    }
    backoff.restart();
    if (!answer(message->first, decode_run_report(message->second), stage)) --groups_left;
  }
}

bool Dispatcher::answer(int leader, const RunReport& report, const Stage& stage) {
  const int degree = stage.degree;
  take_report(report);
  RunOrder order = choose(leader, stage);
  if (order.run != RunOrder::none) {
    on_store([&] { ledger_.started(order.run, leader / degree); });
    if (stopping_) order = {};
  }
  if (order.run != RunOrder::none) {
    in_flight_[order.run] = leader;
    progress_.started(order.run, leader / degree, world_.size() / degree);
  }
  world_.send(encode(order), leader, Tag::order);
  return order.run != RunOrder::none;
}

void Dispatcher::take_report(const RunReport& report) {
  in_flight_.erase(report.run);
  switch (report.outcome) {
    case RunReport::Outcome::nothing:
      return;
    case RunReport::Outcome::abandoned:
      on_store([&] { ledger_.abandoned(report.run); });
      stop(ExitCode::interrupted, "told to stop");
      return;
    case RunReport::Outcome::not_stored:
      // It came to its end: nothing that the next start would have to be warned of.
      on_store([&] { ledger_.abandoned(report.run); });
      stop(ExitCode::store, report.reason);
      return;
    case RunReport::Outcome::stored:
      break;
  }
  on_store([&] { ledger_.finished(report); });
  if (report.status == RunStatus::ok) {
    estimate_.add(plan_.runs[static_cast<std::size_t>(report.run)].cost.predicted_s, report.wall_s);
  }
  progress_.finished(report, time_left_s());
  if (limits_.max_fails > 0 && progress_.failed() >= limits_.max_fails) {
    stop(ExitCode::runs_failed, fmt::format("{} runs failed (--max-fails)", progress_.failed()));
  }
}

RunOrder Dispatcher::choose(int leader, const Stage& stage) {
  const bool another_has_it = stage.suspects && leader != 0;
  if (stopping_ || another_has_it) return {};
  const auto run = queue_.take(stage, loaded_[leader], estimate_.longest_within(watch_.seconds_left()));
  if (!run) {
    set_aside(stage);
    return {};
  }
  loaded_[leader] = weights_key(plan_.runs[static_cast<std::size_t>(*run)].spec);
  return {*run, ledger_.attempt(*run)};
}

// Smaller degrees may have runs that fit the time that is left.
void Dispatcher::set_aside(const Stage& stage) {
  const std::int64_t runs = queue_.set_aside(stage);
  if (runs == 0) return;
  set_aside_ += runs;
  progress_.note(
      fmt::format("tensor_parallel {}: {} runs set aside, predicted to take longer than the {} left",
                  stage.degree, runs, format_seconds(std::max(0.0, watch_.seconds_left()))));
}

void Dispatcher::heed_stop() {
  const Stop asked = watch_.asked();
  if (asked == Stop::no) return;
  // First of all: the launcher may kill within a second.
  if (asked == Stop::now && !told_to_abandon_) record_abandoned();
  stop(ExitCode::interrupted, watch_.reason());
}

// A rank that failed inside a collective ends the job: its own run has a record by now, those of other groups
// are innocent. It waits for the answer.
void Dispatcher::heed_last_words() {
  const auto message = world_.try_receive(Tag::last_words);
  if (!message) return;
  const std::int64_t guilty = decode_last_words(message->second).run;
  stop(ExitCode::interrupted, fmt::format("rank {} failed while measuring", message->first));
  for (const auto& [run, leader] : in_flight_) {
    if (run != guilty) on_store([&, id = run] { ledger_.abandoned(id); });
  }
  world_.send({}, message->first, Tag::heard);
}

// Before anything else: the launcher may kill within a second, and a run killed so has not crashed.
void Dispatcher::record_abandoned() {
  told_to_abandon_ = true;
  const bool no_crash = watch_.announced();
  for (const auto& [run, leader] : in_flight_) {
    if (no_crash || presumed_alive(run, leader)) on_store([&, id = run] { ledger_.abandoned(id); });
  }
}

// A run one of whose ranks is dead has crashed: that may be why all others are told to stop. Those out of
// sight report for themselves, if they can.
bool Dispatcher::presumed_alive(std::int64_t run, int leader) const {
  const int degree = plan_.runs[static_cast<std::size_t>(run)].spec.tensor_parallel;
  for (int rank = leader; rank < leader + degree; ++rank) {
    if (!peers_.seen_alive(rank)) return false;
  }
  return true;
}

void Dispatcher::stop(ExitCode code, const std::string& reason) {
  if (stopping_ && code != ExitCode::store) return;
  stopping_ = true;
  stop_code_ = code;
  stop_reason_ = reason;
  progress_.note("stopping: " + reason);
  if (code != ExitCode::store) on_store([&] { ledger_.event("stopping: " + reason); });
}

double Dispatcher::time_left_s() const {
  const QueueShare share = queue_.share(world_.size());
  return estimate_.expected_s(share.predicted_s, share.runs);
}

ExitCode Dispatcher::exit_code() const {
  if (stopping_) return stop_code_;
  const bool failures =
      progress_.failed() + ledger_.found_failed() + ledger_.crashed() + ledger_.too_long() > 0;
  return failures ? ExitCode::runs_failed : ExitCode::ok;
}

void Dispatcher::send_to_all(const StageOrder& order) {
  for (int r = 0; r < world_.size(); ++r) world_.send(encode(order), r, Tag::stage);
}

template <class Step>
void Dispatcher::on_store(const Step& step) {
  try {
    step();
  } catch (const std::exception& e) {
    stop(ExitCode::store, e.what());
  }
}

}  // namespace hydrajob
