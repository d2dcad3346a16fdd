// The runs that are left, and which of them a group takes next.
#pragma once

#include <cstdint>
#include <functional>
#include <limits>
#include <list>
#include <map>
#include <optional>
#include <string>
#include <vector>

#include "grid/plan.hpp"

namespace hydrajob {

// What a run keeps loaded between runs: equal for runs that share it, empty for runs without weights.
std::string weights_key(const RunSpec& spec);

struct QueueShare {
  double predicted_s = 0;
  double runs = 0;
};

class RunQueue {
 public:
  // `pending`: indices into plan.runs, none of them skipped. The plan outlives the queue.
  RunQueue(const Plan& plan, const std::vector<std::int64_t>& pending);

  // The largest degree that has runs left; nothing when all are taken.
  std::optional<int> next_degree() const;

  // The longest predicted run of this degree, of those with the group's loaded weights where there are any.
  // Runs predicted to take longer than `seconds_left` stay.
  std::optional<std::int64_t> take(int degree, const std::string& loaded,
                                   double seconds_left = std::numeric_limits<double>::infinity());

  std::int64_t size() const { return size_; }
  // What is left for one group, each degree's runs shared by the groups that work on it at once.
  QueueShare share(int ranks) const;

 private:
  using Bucket = std::list<std::int64_t>;       // longest predicted first
  using Stage = std::map<std::string, Bucket>;  // by weights_key
  struct Total {
    double predicted_s = 0;
    std::int64_t runs = 0;
  };

  std::optional<std::int64_t> take_from(Stage& stage, Stage::iterator bucket, double seconds_left);
  double predicted(std::int64_t run) const {
    return plan_.runs[static_cast<std::size_t>(run)].cost.predicted_s;
  }

  const Plan& plan_;
  std::map<int, Stage, std::greater<>> stages_;  // by degree, largest first
  std::map<int, Total> totals_;                  // by degree, of what is left
  std::int64_t size_ = 0;
};

}  // namespace hydrajob
