#include "grid/schedule_simulation.hpp"

#include <algorithm>
#include <functional>
#include <queue>
#include <set>
#include <string>
#include <utility>

#include "grid/run_queue.hpp"

namespace hydrajob {
namespace {

std::vector<std::int64_t> runs_to_do(const Plan& plan) {
  std::vector<std::int64_t> runs;
  for (std::size_t i = 0; i < plan.runs.size(); ++i) {
    if (plan.runs[i].skip_reason.empty()) runs.push_back(static_cast<std::int64_t>(i));
  }
  return runs;
}

std::int64_t runs_in(const Plan& plan, const std::vector<std::int64_t>& runs, int degree) {
  return std::count_if(runs.begin(), runs.end(), [&](std::int64_t run) {
    return plan.runs[static_cast<std::size_t>(run)].spec.tensor_parallel == degree;
  });
}

class StageSimulation {
 public:
  StageSimulation(const Plan& plan, RunQueue& queue, const Stage& stage, std::int64_t groups,
                  std::int64_t runs)
      : plan_(plan), queue_(queue), stage_(stage) {
    result_.degree = stage.degree;
    result_.groups = groups;
    // No more groups than runs ever get one: the others need no place here.
    const std::int64_t served = std::min(groups, runs);
    loaded_.resize(static_cast<std::size_t>(served));
    for (std::int64_t group = 0; group < served; ++group) free_.emplace(0.0, group);
  }

  SimulatedStage run() {
    while (!free_.empty()) {
      const auto [now, group] = free_.top();
      free_.pop();
      std::string& loaded = loaded_[static_cast<std::size_t>(group)];
      const auto run = queue_.take(stage_, loaded);
      if (!run) continue;
      free_.emplace(now + do_run(plan_.runs[static_cast<std::size_t>(*run)], loaded, now), group);
    }
    return result_;
  }

 private:
  // Seconds that the group is busy.
  double do_run(const PlannedRun& run, std::string& loaded, double now) {
    const std::string weights = weights_key(run.spec);
    const double load_s = weights == loaded ? 0 : run.cost.load_s;
    const bool first = keys_.insert(weights).second;
    loaded = weights;
    const double seconds = load_s + run.cost.predicted_s;
    ++result_.runs;
    result_.busy_s += seconds;
    result_.longest_s = std::max(result_.longest_s, seconds);
    result_.makespan_s = std::max(result_.makespan_s, now + seconds);
    // One group does all runs of the same weights one after another.
    result_.one_group_s += run.cost.predicted_s + (first ? run.cost.load_s : 0);
    return seconds;
  }

  using Free = std::pair<double, std::int64_t>;  // since when, and which group

  const Plan& plan_;
  RunQueue& queue_;
  Stage stage_;
  SimulatedStage result_;
  std::priority_queue<Free, std::vector<Free>, std::greater<>> free_;
  std::vector<std::string> loaded_;  // weights_key, by group
  std::set<std::string> keys_;       // loaded by any
};

}  // namespace

SimulatedSchedule simulate_schedule(const Plan& plan, std::int64_t ranks) {
  SimulatedSchedule schedule;
  schedule.ranks = ranks;
  const std::vector<std::int64_t> runs = runs_to_do(plan);
  RunQueue queue(plan, runs);
  while (const auto stage = queue.next_stage()) {
    const std::int64_t groups = std::max<std::int64_t>(1, ranks / stage->degree);
    schedule.stages.push_back(
        StageSimulation(plan, queue, *stage, groups, runs_in(plan, runs, stage->degree)).run());
  }
  return schedule;
}

double SimulatedSchedule::makespan_s() const {
  double seconds = 0;
  for (const SimulatedStage& stage : stages) seconds += stage.makespan_s;
  return seconds;
}

double SimulatedSchedule::one_group_s() const {
  double seconds = 0;
  for (const SimulatedStage& stage : stages) seconds += stage.one_group_s;
  return seconds;
}

double SimulatedSchedule::idle_share() const {
  double busy = 0, all = 0;  // seconds of ranks
  for (const SimulatedStage& stage : stages) {
    const std::int64_t of_job = ranks > 0 ? ranks : stage.degree;
    busy += stage.busy_s * stage.degree;
    all += stage.makespan_s * static_cast<double>(of_job);
  }
  return all > 0 ? 1 - busy / all : 0;
}

}  // namespace hydrajob
