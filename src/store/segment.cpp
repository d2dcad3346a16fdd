// A finished run, committed as a file of its own: whole or not at all.
#include <cmath>
#include <map>
#include <unistd.h>

#include <fmt/format.h>

#include "base/error.hpp"
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

void erase_holes(SampleSeries& series) {
  std::size_t kept = 0;
  for (std::size_t i = 0; i < series.value.size(); ++i) {
    if (!std::isfinite(series.value[i])) continue;
    series.value[kept] = series.value[i];
    series.rank[kept] = series.rank[i];
    series.iteration[kept] = series.iteration[i];
    series.step[kept] = series.step[i];
    ++kept;
  }
  series.value.resize(kept);
  series.rank.resize(kept);
  series.iteration.resize(kept);
  series.step.resize(kept);
}

// A result with a hole is no result: it is kept as failed, with what is finite in it. A run that had failed
// already keeps its own reason.
RunRecord without_holes(const RunRecord& record, const std::string& hole) {
  RunRecord kept = record;
  std::erase_if(kept.metrics, [](const auto& metric) { return !std::isfinite(metric.second.value); });
  for (SampleSeries& series : kept.samples) erase_holes(series);
  if (kept.status == RunStatus::ok) {
    kept.status = RunStatus::failed;
    kept.reason = hole + " is not a finite number";
  }
  return kept;
}

// A record that would not read back must not be written: its run would be lost.
void expect_equal_lengths(const RunRecord& record) {
  for (const SampleSeries& s : record.samples) {
    const std::size_t n = s.value.size();
    if (s.rank.size() == n && s.iteration.size() == n && s.step.size() == n) continue;
    throw StoreError(fmt::format("run {}: samples of {}: {} values, {} ranks, {} iterations, {} steps",
                                 record.run_id, s.phase, n, s.rank.size(), s.iteration.size(),
                                 s.step.size()));
  }
}

}  // namespace

void commit_segment(const std::filesystem::path& store, const RunRecord& record) {
  expect_equal_lengths(record);
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
