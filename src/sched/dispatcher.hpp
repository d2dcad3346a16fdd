// Hands out the runs: a thread of world rank 0 that answers the leaders of groups, stage by stage, until
// nothing is left or it is time to stop.
#pragma once

#include <cstdint>
#include <map>
#include <string>

#include "base/exit_code.hpp"
#include "comm/communicator.hpp"
#include "grid/run_queue.hpp"
#include "sched/ledger.hpp"
#include "sched/peers.hpp"
#include "sched/progress.hpp"
#include "sched/stop.hpp"

namespace hydrajob {

struct DispatchLimits {
  std::int64_t max_fails = 0;  // stop when this many runs failed; 0: never
};

class Dispatcher {
 public:
  // All outlive it.
  Dispatcher(Communicator& world, const Peers& peers, const Plan& plan, Ledger& ledger, StopWatch& watch,
             Progress& progress, const DispatchLimits& limits);

  // The thread's body. Every rank is told the exit code at the end; errors of the store end the sweep, no
  // exception leaves.
  void run();

  // After run(): why the sweep ended before its end; empty when it did not.
  const std::string& stop_reason() const { return stop_reason_; }

 private:
  void serve_stage(const Stage& stage);
  // Takes the leader's report and answers it; false when the leader's group is done with the stage.
  bool answer(int leader, const RunReport& report, const Stage& stage);
  void take_report(const RunReport& report);
  RunOrder choose(int leader, const Stage& stage);
  void set_aside(const Stage& stage);
  void heed_stop();
  void heed_last_words();
  void record_abandoned();
  bool presumed_alive(std::int64_t run, int leader) const;
  void stop(ExitCode code, const std::string& reason);
  double time_left_s() const;
  ExitCode exit_code() const;
  void send_to_all(const StageOrder& order);

  // Calls `step`; an error of the store stops the sweep.
  template <class Step>
  void on_store(const Step& step);

  Communicator& world_;
  const Peers& peers_;
  const Plan& plan_;
  Ledger& ledger_;
  StopWatch& watch_;
  Progress& progress_;
  DispatchLimits limits_;
  RunQueue queue_;
  Estimate estimate_;
  std::map<int, std::string> loaded_;  // by leader: the weights_key that its group has loaded, in this stage
  std::map<std::int64_t, int> in_flight_;  // run: its group's leader
  bool stopping_ = false;
  bool told_to_abandon_ = false;
  std::int64_t set_aside_ = 0;  // runs for which there was no time
  ExitCode stop_code_ = ExitCode::ok;
  std::string stop_reason_;
};

}  // namespace hydrajob
