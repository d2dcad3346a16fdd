// What leaders of groups and the dispatcher on world rank 0 say to each other.
#pragma once

#include <cstddef>
#include <cstdint>
#include <string>

#include "store/run_record.hpp"

namespace hydrajob {

// Tags of point-to-point messages. All travel in the world but relay, which stays within a group.
struct Tag {
  static constexpr int stage = 1;       // dispatcher to every rank: StageOrder
  static constexpr int request = 2;     // leader to dispatcher: RunReport, and the wish for another run
  static constexpr int order = 3;       // dispatcher to leader: RunOrder
  static constexpr int relay = 4;       // leader to the other ranks of its group: RunOrder
  static constexpr int last_words = 5;  // rank that must end the job, to dispatcher: LastWords
  static constexpr int heard = 6;       // dispatcher to that rank: they are in the journal
  static constexpr int store_open = 7;  // rank 0 to every rank: it has the store, or cannot have it
};

// Form groups of this degree, or leave with this exit code.
struct StageOrder {
  int degree = 0;  // 0: the sweep is over
  int exit_code = 0;
};

// Do this run, or nothing: the stage is over for this group.
struct RunOrder {
  static constexpr std::int64_t none = -1;
  std::int64_t run = none;  // index into Plan::runs
  std::int32_t attempt = 1;
};

// This rank is about to end the job because of this run.
struct LastWords {
  std::int64_t run = RunOrder::none;
};

// How a leader's last run ended.
struct RunReport {
  enum class Outcome : int {
    nothing,     // the group's first request
    stored,      // its record is committed; `status` says what it holds
    abandoned,   // told to stop: no record, the run is still to be done
    not_stored,  // the store refused the record: `reason`
  };
  Outcome outcome = Outcome::nothing;
  std::int64_t run = RunOrder::none;
  std::int32_t attempt = 1;
  RunStatus status = RunStatus::ok;
  double wall_s = 0;      // of the run, loading included
  double headline_s = 0;  // median of the phase it is judged by; 0 where there is none
  std::string reason;
};

std::string encode(const StageOrder& order);
std::string encode(const RunOrder& order);
std::string encode(const RunReport& report);
std::string encode(const LastWords& words);

// Both ends are one binary: what does not parse is a defect, and throws std::logic_error.
StageOrder decode_stage_order(const std::string& bytes);
RunOrder decode_run_order(const std::string& bytes);
RunReport decode_run_report(const std::string& bytes);
LastWords decode_last_words(const std::string& bytes);

}  // namespace hydrajob
