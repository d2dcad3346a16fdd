#include "store/verify.hpp"

#include <cmath>
#include <map>
#include <set>

#include <fmt/format.h>

#include "base/error.hpp"
#include "base/file.hpp"
#include "store/journal.hpp"
#include "store/segment.hpp"
#include "store/store_file.hpp"

namespace hydrajob {
namespace {

// Empty where it is as a device could tell it; what is missing is not wrong.
std::string wrong_condition(const SampleCondition& c) {
  const auto is_amount = [](double value) { return std::isfinite(value) && value >= 0; };
  if (c.sm_clock_mhz && !is_amount(*c.sm_clock_mhz)) return fmt::format("a clock of {} MHz", *c.sm_clock_mhz);
  if (c.throttle_reasons && *c.throttle_reasons < 0)
    return fmt::format("throttle reasons {}, expected a set of bits", *c.throttle_reasons);
  if (c.power_w && !is_amount(*c.power_w)) return fmt::format("a power of {} W", *c.power_w);
  return {};
}

class Verifier {
 public:
  explicit Verifier(const std::filesystem::path& store) : store_(store) {}

  std::vector<std::string> verify() {
    // In the order in which a job writes them, last first: what a journal tells is in a segment by then, and
    // a segment that is gone is in the file.
    read_journals();
    const auto segments = segments_of(store_);
    for (const auto& segment : segments) check_file(segment, read_segment);
    const bool whole = is_there(store_);
    if (!whole && segments.empty()) problems_.push_back(store_.string() + ": there is no such store");
    if (whole) check_file(store_, read_store_file);
    check_damaged();
    check_finished();
    return std::move(problems_);
  }

 private:
  using Read = std::vector<RunRecord>(const std::filesystem::path&);

  void check_file(const std::filesystem::path& path, Read& read) {
    try {
      std::map<std::string, int> seen;
      for (const RunRecord& record : read(path)) {
        if (++seen[record.run_id] == 2) {
          problems_.push_back(
              fmt::format("{}: run {} stands there more than once", path.string(), record.run_id));
        }
        runs_.insert(record.run_id);
        check_record(path, record);
      }
    } catch (const StoreError& e) {
      if (path == store_ || std::filesystem::exists(path)) problems_.push_back(e.what());
    }
  }

  void check_record(const std::filesystem::path& path, const RunRecord& record) {
    const auto problem = [&](const std::string& what) {
      problems_.push_back(fmt::format("{}: run {}: {}", path.string(), record.run_id, what));
    };
    if (record.run_id.size() != 32) problem("its id is not of 32 characters");
    if (record.attempt < 1) problem(fmt::format("attempt {}, expected 1 or more", record.attempt));
    if (record.status == RunStatus::ok && record.samples.empty()) problem("ok, but without a sample");
    if (record.status != RunStatus::ok && record.reason.empty())
      problem(to_string(record.status) + " without a reason");
    for (const auto& [name, metric] : record.metrics) {
      if (!std::isfinite(metric.value)) problem(name + " is not a finite number");
    }
    for (const SampleSeries& series : record.samples) {
      for (const double value : series.value) {
        if (!std::isfinite(value)) return problem("a sample of " + series.phase + " is not a finite number");
      }
      for (const SampleCondition& condition : series.condition) {
        const std::string wrong = wrong_condition(condition);
        if (!wrong.empty()) return problem(fmt::format("a sample of {}: {}", series.phase, wrong));
      }
    }
  }

  void check_damaged() {
    std::error_code none;
    for (const auto& entry : std::filesystem::directory_iterator(store_folder(store_) / "damaged", none)) {
      problems_.push_back(entry.path().string() + ": a damaged result, moved aside");
    }
  }

  void read_journals() {
    for (const auto& path : journals_in(store_folder(store_))) {
      try {
        for (const JournalEvent& event : read_journal(path)) {
          if (event.kind == "finished") finished_.emplace(event.run_id, path);
        }
      } catch (const StoreError& e) {
        if (std::filesystem::exists(path)) problems_.push_back(e.what());
      }
    }
  }

  // What a journal says was finished must be in the store.
  void check_finished() {
    for (const auto& [run_id, path] : finished_) {
      if (runs_.count(run_id) > 0) continue;
      problems_.push_back(
          fmt::format("{}: run {} was finished, but its result is missing", path.string(), run_id));
    }
  }

  std::filesystem::path store_;
  std::map<std::string, std::filesystem::path> finished_;  // run_id, and the journal that says so
  std::set<std::string> runs_;
  std::vector<std::string> problems_;
};

}  // namespace

std::vector<std::string> verify_store(const std::filesystem::path& store) {
  return Verifier(store).verify();
}

}  // namespace hydrajob
