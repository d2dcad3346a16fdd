#include "sched/run_queue.hpp"

#include <algorithm>

#include <fmt/format.h>

namespace hydrajob {

std::string weights_key(const RunSpec& spec) {
  if (spec.workload != WorkloadKind::generate) return {};
  const std::uint64_t seed = spec.weights == "random" ? spec.seed : 0;
  return fmt::format("{} {} {} {}", spec.architecture.name, spec.weights, seed, name_of(spec.dtype));
}

RunQueue::RunQueue(const Plan& plan, const std::vector<std::int64_t>& pending) : plan_(plan) {
  std::vector<std::int64_t> longest_first = pending;
  std::stable_sort(longest_first.begin(), longest_first.end(),
                   [&](std::int64_t a, std::int64_t b) { return predicted(a) > predicted(b); });
  for (const std::int64_t run : longest_first) {
    const RunSpec& spec = plan_.runs[static_cast<std::size_t>(run)].spec;
    stages_[spec.tensor_parallel][weights_key(spec)].push_back(run);
    Total& total = totals_[spec.tensor_parallel];
    total.predicted_s += predicted(run);
    ++total.runs;
    ++size_;
  }
}

std::optional<int> RunQueue::next_degree() const {
  if (stages_.empty()) return std::nullopt;
  return stages_.begin()->first;
}

std::optional<std::int64_t> RunQueue::take(int degree, const std::string& loaded, double seconds_left) {
  const auto found = stages_.find(degree);
  if (found == stages_.end()) return std::nullopt;
  Stage& stage = found->second;
  if (const auto same = stage.find(loaded); same != stage.end()) {
    if (const auto run = take_from(stage, same, seconds_left)) return run;
  }
  const auto longer = [&](const auto& a, const auto& b) {
    return predicted(a.second.front()) < predicted(b.second.front());
  };
  const auto longest = std::max_element(stage.begin(), stage.end(), longer);
  if (const auto run = take_from(stage, longest, seconds_left)) return run;
  // The bucket with the longest run has none that fits the time left; others may.
  for (auto bucket = stage.begin(); bucket != stage.end(); ++bucket) {
    if (const auto run = take_from(stage, bucket, seconds_left)) return run;
  }
  return std::nullopt;
}

std::optional<std::int64_t> RunQueue::take_from(Stage& stage, Stage::iterator bucket, double seconds_left) {
  Bucket& runs = bucket->second;
  const auto fits = std::find_if(runs.begin(), runs.end(),
                                 [&](std::int64_t run) { return predicted(run) <= seconds_left; });
  if (fits == runs.end()) return std::nullopt;
  const std::int64_t run = *fits;
  const int degree = plan_.runs[static_cast<std::size_t>(run)].spec.tensor_parallel;
  runs.erase(fits);
  --size_;
  totals_[degree].predicted_s -= predicted(run);
  --totals_[degree].runs;
  if (runs.empty()) stage.erase(bucket);
  if (stage.empty()) {
    stages_.erase(degree);
    totals_.erase(degree);
  }
  return run;
}

QueueShare RunQueue::share(int ranks) const {
  QueueShare share;
  for (const auto& [degree, total] : totals_) {
    const int groups = std::max(1, ranks / degree);
    share.predicted_s += total.predicted_s / groups;
    share.runs += static_cast<double>(total.runs) / groups;
  }
  return share;
}

}  // namespace hydrajob
