// One run, done by the ranks of a group together, with every way it can fail.
#pragma once

#include "comm/communicator.hpp"
#include "comm/device_group.hpp"
#include "sched/group.hpp"
#include "store/run_record.hpp"

namespace hydrajob {

// The columns that a record has whether it ran or not: identity, parameters, what the plan said.
RunRecord planned_record(const PlannedRun& run, const std::string& config_text,
                         const std::string& environment);

// Prepares and measures. On the group's rank 0 the record holds the result, or the status and reason of a
// failure; on others it is empty. A failure in prepare() on any rank is agreed on by all. One in measure() is
// a record where the group has one rank, or when it is TimeLimit, which all ranks throw together; else the
// other ranks may be waiting inside a collective: this rank commits the failure as the run's record, so that
// the next start leaves the run out, tells the dispatcher, and ends the job with lost_job_code(). Throws
// Interrupted, on all ranks, when told to stop; but a run that had nearly the whole time of its job is timed
// out: another job would not get further with it. Collective.
RunRecord execute_run(const RunOrder& order, int group_number, DeviceGroup& group, Communicator& world,
                      ModelCache& models, const SweepContext& sweep);

}  // namespace hydrajob
