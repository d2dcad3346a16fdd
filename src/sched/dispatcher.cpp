#include "sched/dispatcher.hpp"

#include <exception>
#include <limits>

#include <fmt/format.h>

#include "base/log.hpp"
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
      queue_(plan, ledger.pending()) {}

void Dispatcher::run() {
  heed_stop();
  while (!stopping_) {
    const auto degree = queue_.next_degree();
    if (!degree) break;
    serve_stage(*degree);
  }
  send_to_all({0, static_cast<int>(exit_code())});
}

void Dispatcher::serve_stage(int degree) {
  loaded_.clear();
  send_to_all({degree, 0});
  int groups_left = world_.size() / degree;
  Backoff backoff;
  while (groups_left > 0) {
    heed_stop();
    const auto message = world_.try_receive(Tag::request);
    if (!message) {
      backoff.pause();
      continue;
    }
    backoff.restart();
    if (!answer(message->first, decode_run_report(message->second), degree)) --groups_left;
  }
}

bool Dispatcher::answer(int leader, const RunReport& report, int degree) {
  take_report(report);
  RunOrder order = choose(leader, degree);
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

RunOrder Dispatcher::choose(int leader, int degree) {
  if (stopping_) return {};
  const auto run = queue_.take(degree, loaded_[leader], estimate_.longest_within(watch_.seconds_left()));
  if (!run) {
    if (queue_.next_degree() == degree) {
      stop(ExitCode::interrupted,
           fmt::format("{}: no run that is left is predicted to fit", watch_.reason()));
    }
    return {};
  }
  loaded_[leader] = weights_key(plan_.runs[static_cast<std::size_t>(*run)].spec);
  return {*run, ledger_.attempt(*run)};
}

void Dispatcher::heed_stop() {
  const Stop asked = watch_.asked();
  if (asked == Stop::no) return;
  stop(ExitCode::interrupted, watch_.reason());
  if (asked == Stop::now && !told_to_abandon_) record_abandoned();
}

// Before anything else: the launcher may kill within a second, and a run killed so has not crashed. One of
// whose ranks is dead has: its death may be why all others are told to stop. Those out of sight report for
// themselves, if they can.
void Dispatcher::record_abandoned() {
  told_to_abandon_ = true;
  for (const auto& [run, leader] : in_flight_) {
    const int degree = plan_.runs[static_cast<std::size_t>(run)].spec.tensor_parallel;
    bool alive = true;
    for (int rank = leader; rank < leader + degree; ++rank) alive = alive && peers_.seen_alive(rank);
    if (alive) on_store([&, id = run] { ledger_.abandoned(id); });
  }
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
  const bool failures = progress_.failed() + ledger_.found_failed() + ledger_.crashed() > 0;
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
