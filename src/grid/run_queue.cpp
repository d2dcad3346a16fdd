#include "grid/run_queue.hpp"

#include <algorithm>

namespace hydrajob {

bool RunQueue::Earlier::operator()(const Stage& a, const Stage& b) const {
  return std::pair(a.suspects, -a.degree) < std::pair(b.suspects, -b.degree);
}

RunQueue::RunQueue(const Plan& plan, const std::vector<std::int64_t>& pending,
                   const std::set<std::int64_t>& suspects)
    : plan_(plan) {
  std::vector<std::int64_t> longest_first = pending;
  std::stable_sort(longest_first.begin(), longest_first.end(),
                   [&](std::int64_t a, std::int64_t b) { return predicted(a) > predicted(b); });
  for (const std::int64_t run : longest_first) {
    const RunSpec& spec = plan_.runs[static_cast<std::size_t>(run)].spec;
    Left& left = stages_[{spec.tensor_parallel, suspects.count(run) > 0}];
    left.buckets[weights_key(spec)].push_back(run);
    left.predicted_s += predicted(run);
    ++left.runs;
  }
  for (auto& [stage, left] : stages_) {
    for (const auto& bucket : left.buckets) left.fronts.insert(front_of(bucket));
  }
}

std::optional<Stage> RunQueue::next_stage() const {
  if (stages_.empty()) return std::nullopt;
  return stages_.begin()->first;
}

std::optional<std::int64_t> RunQueue::take(const Stage& stage, const std::string& loaded,
                                           double seconds_left) {
  const auto found = stages_.find(stage);
  if (found == stages_.end()) return std::nullopt;
  Buckets& buckets = found->second.buckets;
  if (const auto same = buckets.find(loaded); same != buckets.end()) {
    if (const auto run = take_from(found, same, seconds_left)) return run;
  }
  const auto longest = buckets.find(found->second.fronts.begin()->second);
  if (const auto run = take_from(found, longest, seconds_left)) return run;
  // The bucket with the longest run has none that fits the time left; others may.
  for (auto bucket = buckets.begin(); bucket != buckets.end(); ++bucket) {
    if (const auto run = take_from(found, bucket, seconds_left)) return run;
  }
  return std::nullopt;
}

std::optional<std::int64_t> RunQueue::take_from(Stages::iterator stage, Buckets::iterator bucket,
                                                double seconds_left) {
  Bucket& runs = bucket->second;
  const auto fits = std::find_if(runs.begin(), runs.end(),
                                 [&](std::int64_t run) { return predicted(run) <= seconds_left; });
  if (fits == runs.end()) return std::nullopt;
  const std::int64_t run = *fits;
  Left& left = stage->second;
  left.fronts.erase(front_of(*bucket));
  runs.erase(fits);
  if (!runs.empty()) left.fronts.insert(front_of(*bucket));
  left.predicted_s -= predicted(run);
  --left.runs;
  if (runs.empty()) left.buckets.erase(bucket);
  if (left.runs == 0) stages_.erase(stage);
  return run;
}

std::int64_t RunQueue::set_aside(const Stage& stage) {
  const auto found = stages_.find(stage);
  if (found == stages_.end()) return 0;
  const std::int64_t runs = found->second.runs;
  stages_.erase(found);
  return runs;
}

QueueShare RunQueue::share(int ranks) const {
  QueueShare share;
  for (const auto& [stage, left] : stages_) {
    const int groups = stage.suspects ? 1 : std::max(1, ranks / stage.degree);
    share.predicted_s += left.predicted_s / groups;
    share.runs += static_cast<double>(left.runs) / groups;
  }
  return share;
}

}  // namespace hydrajob
