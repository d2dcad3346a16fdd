// A finished run, committed as a file of its own: whole or not at all.
#include <cmath>
#include <unistd.h>

#include "base/file.hpp"
#include "store/sealed_file.hpp"
#include "store/store.hpp"
#include "store/store_file.hpp"

namespace hydrajob {
namespace {

// The first value that is no number, empty when all are.
std::string first_non_finite(const RunRecord& record) {
  for (const auto& [name, metric] : record.metrics) {
    if (!std::isfinite(metric.value)) return "metric " + name;
  }
  for (const SampleSeries& series : record.samples) {
    for (std::size_t i = 0; i < series.value.size(); ++i) {
      if (!std::isfinite(series.value[i])) return "sample " + std::to_string(i) + " of " + series.phase;
    }
  }
  return {};
}

// A result with a hole is no result: kept, but as failed, without the numbers that are none.
RunRecord without_holes(const RunRecord& record, const std::string& hole) {
  RunRecord kept = record;
  kept.status = RunStatus::failed;
  kept.reason = hole + " is not a finite number";
  kept.metrics.clear();
  kept.samples.clear();
  return kept;
}

}  // namespace

void commit_segment(const std::filesystem::path& store, const RunRecord& record) {
  const std::filesystem::path folder = segment_folder(store);
  make_lasting_folder(folder);
  const std::string name = record.run_id + "-" + std::to_string(record.attempt);
  const std::filesystem::path temporary = folder / ("." + name + ".tmp." + std::to_string(::getpid()));
  const std::string hole = first_non_finite(record);
  try {
    write_store_file(temporary, {hole.empty() ? record : without_holes(record, hole)}, false);
    publish_file(temporary, folder / (name + ".h5"));
  } catch (...) {
    std::error_code error;
    std::filesystem::remove(temporary, error);
    throw;
  }
}

}  // namespace hydrajob
