// The runs that are left, and which of them a group takes next.
#pragma once

#include <cstdint>
#include <functional>
#include <limits>
#include <list>
#include <map>
#include <optional>
#include <set>
#include <string>
#include <utility>
#include <vector>

#include "grid/plan.hpp"

namespace hydrajob {

// What groups work on together: runs of one degree.
struct Stage {
  int degree = 1;
  bool suspects = false;  // runs that were in flight when the job died: see RunQueue
  friend bool operator==(const Stage&, const Stage&) = default;
};

struct QueueShare {
  double predicted_s = 0;
  double runs = 0;
};

// Largest degree first. Suspects come after all others, whatever their degree, and are meant for one group at
// a time: when one of them ends the job again, it takes no innocent run with it.
class RunQueue {
 public:
  // Indices into plan.runs, none of them skipped; `suspects` among `pending`. The plan outlives the queue.
  RunQueue(const Plan& plan, const std::vector<std::int64_t>& pending,
           const std::set<std::int64_t>& suspects = {});

  // The first stage that has runs left; nothing when all are taken or set aside.
  std::optional<Stage> next_stage() const;

  // The longest predicted run of this stage, of those with the group's loaded weights where there are any.
  // Runs predicted to take longer than `seconds_left` stay.
  std::optional<std::int64_t> take(const Stage& stage, const std::string& loaded,
                                   double seconds_left = std::numeric_limits<double>::infinity());

  // Gives up what is left of a stage, for want of time; returns how many runs that were.
  std::int64_t set_aside(const Stage& stage);

  // What is left for one group, each stage's runs shared by the groups that work on it at once.
  QueueShare share(int ranks) const;

 private:
  using Bucket = std::list<std::int64_t>;         // longest predicted first
  using Buckets = std::map<std::string, Bucket>;  // by weights_key
  using Front = std::pair<double, std::string>;   // minus a bucket's longest predicted time, and its key
  struct Left {
    Buckets buckets;
    std::set<Front> fronts;  // of all buckets, the longest first: there may be as many as runs
    double predicted_s = 0;
    std::int64_t runs = 0;
  };
  struct Earlier {
    bool operator()(const Stage& a, const Stage& b) const;
  };
  using Stages = std::map<Stage, Left, Earlier>;

  std::optional<std::int64_t> take_from(Stages::iterator stage, Buckets::iterator bucket,
                                        double seconds_left);
  Front front_of(const Buckets::value_type& bucket) const {
    return {-predicted(bucket.second.front()), bucket.first};
  }
  double predicted(std::int64_t run) const {
    return plan_.runs[static_cast<std::size_t>(run)].cost.predicted_s;
  }

  const Plan& plan_;
  Stages stages_;  // none is empty
};

}  // namespace hydrajob
