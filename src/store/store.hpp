// The results of an experiment, as one job keeps them: what is committed, what was in flight when a job died,
// and the one file that is built of it all. docs/store.md tells the files. World rank 0 holds a Store; any
// process may commit a segment.
#pragma once

#include <cstdint>
#include <filesystem>
#include <map>
#include <memory>
#include <string>
#include <vector>

#include "store/run_record.hpp"
#include "store/segment.hpp"

namespace hydrajob {

// What is known of a run that was committed.
struct CommittedRun {
  RunStatus status = RunStatus::ok;
  std::int32_t attempt = 1;  // the latest
};

// A run that journals say was started, and neither finished nor abandoned.
struct InFlightRun {
  std::int32_t attempt = 0;  // the latest started
  std::int32_t crashes = 0;  // how many starts of it ended with the death of their job
};

// Journal events may come from another thread than the rest: the constructor, compact() and checkpoint() use
// HDF5, which is for one thread of a process at a time.
class Store {
 public:
  // Takes the store for this job, waiting up to `wait_s` for another job's lease to end or go stale, and
  // reads what is there: the store file, segments, journals (a torn tail is left out). Creates its folder.
  // Throws StoreError: held by host/pid, unreadable, not a store.
  explicit Store(const std::filesystem::path& path, double wait_s = 0);
  ~Store();  // gives the lease back
  Store(const Store&) = delete;
  Store& operator=(const Store&) = delete;

  // By run_id, as found when the store was opened and committed since (noted by finished()).
  const std::map<std::string, CommittedRun>& committed() const;
  const std::map<std::string, InFlightRun>& in_flight() const;

  // Journal events: one line each, on disk when the call returns. Throws StoreError.
  void started(const std::string& run_id, std::int32_t attempt, std::int32_t group);
  void finished(const std::string& run_id, std::int32_t attempt, RunStatus status);
  void abandoned(const std::string& run_id, std::int32_t attempt);  // told to stop: not a crash
  void event(const std::string& text);                              // "interrupted by SIGTERM", …

  // Builds the one file anew from the old one and all segments: written beside it, read back, fsync, renamed;
  // then the segments in it are deleted. Nothing to absorb: does nothing. Throws StoreError; the old file and
  // the segments stay.
  void compact();

  // compact(), where 500 runs have gathered since the last time or it is ten minutes ago: a sweep of days
  // leaves neither 100,000 segments nor an old file. Of many short runs it takes a twentieth of the time at
  // most.
  void checkpoint();

 private:
  class Impl;
  std::unique_ptr<Impl> impl_;
};

}  // namespace hydrajob
