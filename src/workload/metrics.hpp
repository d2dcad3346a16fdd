// Turns samples into the columns of a record.
#pragma once

#include <string>
#include <vector>

#include "grid/plan.hpp"
#include "store/run_record.hpp"
#include "timing/recorder.hpp"

namespace hydrajob {

// `name`.median, .ci_lo, .ci_hi (none below 6 samples), .min, .max, .p99, .n of samples in seconds. Nothing
// when empty.
void add_statistics(RunRecord& record, const std::string& name, const std::string& long_name,
                    const std::vector<double>& seconds);

// Every sample of every rank, one series a phase and warm-up state.
void add_samples(RunRecord& record, const std::vector<PhaseSample>& samples);

// converged and its reason, for the samples that the run is judged by.
void add_convergence(RunRecord& record, const std::vector<double>& seconds, double target);

// What the plan said: FLOPs, bytes, memory, time, and the ceilings that it counted with.
void add_plan(RunRecord& record, const PlannedRun& run, const Ceilings& ceilings);

// The roofline of the phase `name`, and the fraction of it that was reached.
void add_roofline(RunRecord& record, const std::string& name, double roofline_s, double median_s);

// The rate of `batch` sequences' decode steps, of an iteration's sums of them. Nothing where there are none.
void add_decode_rate(RunRecord& record, const RunSpec& spec, const std::vector<double>& decode);

// The loading of weights, 0 where they were there, and the memory held, of one rank.
void add_load(RunRecord& record, const std::vector<PhaseSample>& samples);
void add_memory_used(RunRecord& record, double bytes);

// Appends the phase `total` of each iteration and rank: its phase `first` and all its decode steps. What
// stands between them is no part of it.
void add_totals(std::vector<PhaseSample>& samples, const std::string& first = "prefill");

// Sum of the decode steps of each measured iteration, slowest rank per step.
std::vector<double> decode_per_iteration(const std::vector<PhaseSample>& samples);

}  // namespace hydrajob
