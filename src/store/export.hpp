// A store's tables as text.
#pragma once

#include <ostream>
#include <vector>

#include "store/run_record.hpp"

namespace hydrajob {

// One line a run: the columns of /runs, with parameters and metrics; missing values are empty.
void export_runs_csv(std::ostream& out, const std::vector<RunRecord>& records);
// One line a sample: run_id, phase, value, unit, rank, iteration, step, warmup, and the
// condition of its device, empty where that is missing.
void export_samples_csv(std::ostream& out, const std::vector<RunRecord>& records);
// One JSON object a run; `samples`: its samples within.
void export_jsonl(std::ostream& out, const std::vector<RunRecord>& records, bool samples);

}  // namespace hydrajob
