// What the store knows of the plan's runs: which are done, which are left, and what happens to them. World
// rank 0 only.
#pragma once

#include <cstdint>
#include <filesystem>
#include <limits>
#include <map>
#include <set>
#include <string>
#include <vector>

#include "grid/plan.hpp"
#include "sched/messages.hpp"
#include "store/store.hpp"

namespace hydrajob {

struct LedgerRequest {
  std::filesystem::path store;
  bool rerun_failed = false;  // runs that failed, ran out of memory, timed out or crashed are done again
  double longest_run_s = std::numeric_limits<double>::infinity();  // what a run can have of the job's time
  std::string config_text;  // of the records that it writes itself: skipped and crashed runs
  std::string environment;
};

class Ledger {
 public:
  // Sorts the plan's runs by what the store holds of them. Writes the rows of skipped runs, of runs that are
  // predicted to take longer than the whole job, and of runs that were in flight when the job died twice.
  // Throws StoreError.
  Ledger(Store& store, const Plan& plan, const LedgerRequest& request);

  // Indices into plan.runs, in the plan's order.
  const std::vector<std::int64_t>& pending() const { return pending_; }
  // Those of them that were in flight at a death of the job.
  const std::set<std::int64_t>& suspects() const { return suspects_; }
  std::int64_t found_done() const { return found_done_; }      // with a result from an earlier start
  std::int64_t found_failed() const { return found_failed_; }  // failed before and left so
  std::int64_t skipped() const { return skipped_; }
  std::int64_t too_long() const { return too_long_; }  // skipped because no job of this length can do them
  std::int64_t crashed() const { return crashed_; }    // recorded as crashed now

  // Why runs are skipped by their plan, and how many for each reason.
  const std::map<std::string, std::int64_t>& skip_reasons() const { return skip_reasons_; }

  // The attempt that a pending run's next start is: 1 where it never ran.
  std::int32_t attempt(std::int64_t run) const { return attempts_[static_cast<std::size_t>(run)]; }

  // Each is on disk when it returns. Throws StoreError.
  void started(std::int64_t run, int group);
  void finished(const RunReport& report);
  // A run told to stop: it did not crash, and is still to be done.
  void abandoned(std::int64_t run);
  void event(const std::string& text);

 private:
  const std::string& id(std::int64_t run) const { return plan_.runs[static_cast<std::size_t>(run)].spec.id; }
  void sort_run(std::int64_t run, const LedgerRequest& request);
  void add_row(std::int64_t run, RunStatus status, const std::string& reason, const LedgerRequest& request);
  void commit_rows(const LedgerRequest& request);

  Store& store_;
  const Plan& plan_;
  std::vector<std::int64_t> pending_;
  std::set<std::int64_t> suspects_;
  std::vector<std::int32_t> attempts_;
  std::vector<RunRecord> rows_;  // to be committed together
  std::int64_t found_done_ = 0;
  std::int64_t found_failed_ = 0;
  std::int64_t skipped_ = 0;
  std::map<std::string, std::int64_t> skip_reasons_;
  std::int64_t too_long_ = 0;
  std::int64_t crashed_ = 0;
};

}  // namespace hydrajob
