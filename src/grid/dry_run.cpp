#include "grid/dry_run.hpp"

#include <algorithm>
#include <cstddef>
#include <functional>
#include <map>
#include <queue>
#include <set>
#include <string>
#include <vector>

#include <fmt/format.h>

#include "base/units.hpp"

namespace hydrajob {
namespace {

// The order in which people look for them; others follow by name.
const std::vector<std::string>& columns_first() {
  static const std::vector<std::string> names{"workload", "model",     "tensor_parallel", "mode",
                                              "batch",    "questions", "prefix",          "tree",
                                              "suffix",   "new_tokens"};
  return names;
}

struct Split {
  std::vector<std::string> varying;  // parameters that differ between runs, or that only some have
  Parameters common;
};

Split split_parameters(const std::vector<PlannedRun>& runs) {
  Split split;
  split.common = runs.front().spec.parameters;
  std::set<std::string> varying;
  for (const PlannedRun& run : runs) {
    const Parameters& p = run.spec.parameters;
    for (const auto& [name, value] : p) {
      const auto at = split.common.find(name);
      if (at == split.common.end() || at->second != value) varying.insert(name);
    }
    std::erase_if(split.common, [&](const auto& entry) {
      const bool same = p.contains(entry.first) && p.at(entry.first) == entry.second;
      if (!same) varying.insert(entry.first);
      return !same;
    });
  }
  // Says nothing where it is the number of iterations anyway.
  const bool goes_on = std::any_of(runs.begin(), runs.end(), [](const PlannedRun& run) {
    return run.spec.max_iterations != run.spec.iterations;
  });
  if (!goes_on) varying.erase("max_iterations");
  for (const std::string& name : columns_first()) {
    if (varying.erase(name) > 0) split.varying.push_back(name);
  }
  split.varying.insert(split.varying.end(), varying.begin(), varying.end());
  return split;
}

using Row = std::vector<std::string>;

Row header(const Split& split) {
  Row row{"run"};
  row.insert(row.end(), split.varying.begin(), split.varying.end());
  row.insert(row.end(), {"memory", "FLOPs", "bytes", "predicted", ""});
  return row;
}

Row row_of(const PlannedRun& run, std::size_t number, const Split& split) {
  Row row{std::to_string(number)};
  for (const std::string& name : split.varying) {
    const auto at = run.spec.parameters.find(name);
    row.push_back(at == run.spec.parameters.end() ? "-" : to_string(at->second));
  }
  const bool timed = run.skip_reason.empty() && run.cost.predicted_s > 0;
  row.push_back(format_bytes(run.cost.memory.total()));
  row.push_back(format_count(run.cost.iteration.flops));
  row.push_back(format_bytes(run.cost.iteration.bytes));
  row.push_back(timed ? format_seconds(run.cost.predicted_s) : "-");
  row.push_back(run.skip_reason.empty() ? "" : "skipped: " + run.skip_reason);
  return row;
}

// The last column is left-aligned and may be of any width.
void print_row(std::ostream& out, const Row& row, const std::vector<std::size_t>& widths) {
  std::string line;
  for (std::size_t i = 0; i + 1 < row.size(); ++i) line += fmt::format("{:>{}}  ", row[i], widths[i]);
  line += row.back();
  line.resize(line.find_last_not_of(' ') + 1);
  out << line << '\n';
}

void print_table(std::ostream& out, const Plan& plan, const Split& split) {
  std::vector<Row> rows{header(split)};
  for (std::size_t i = 0; i < plan.runs.size(); ++i) rows.push_back(row_of(plan.runs[i], i + 1, split));
  std::vector<std::size_t> widths(rows.front().size(), 0);
  for (const Row& row : rows) {
    for (std::size_t i = 0; i < row.size(); ++i) widths[i] = std::max(widths[i], row[i].size());
  }
  for (const Row& row : rows) print_row(out, row, widths);
}

// Predicted times of the runs that can run, by degree, the largest first.
using Degrees = std::map<int, std::vector<double>, std::greater<>>;

Degrees degrees_of(const Plan& plan) {
  Degrees degrees;
  for (const PlannedRun& run : plan.runs) {
    if (run.skip_reason.empty()) degrees[run.spec.tensor_parallel].push_back(run.cost.predicted_s);
  }
  return degrees;
}

void print_degrees(std::ostream& out, const Degrees& degrees, int ranks) {
  double total_s = 0;
  for (const auto& [degree, predicted_s] : degrees) {
    const int groups = ranks > 0 ? ranks / degree : 1;
    const double seconds = makespan(predicted_s, groups);
    total_s += seconds;
    const std::string who = fmt::format("{} group{} of {} rank{}", groups, groups == 1 ? "" : "s", degree,
                                        degree == 1 ? "" : "s");
    const std::string when = seconds > 0 ? ", predicted " + format_seconds(seconds) : "";
    out << fmt::format("tensor_parallel {}: {} runs on {}{}\n", degree, predicted_s.size(), who, when);
  }
  if (total_s > 0) {
    out << fmt::format("predicted in all: {}, at the roofline, loading left out\n", format_seconds(total_s));
  } else if (!degrees.empty()) {
    out << "no prediction: this machine's ceilings are not known\n";
  }
}

void print_summary(std::ostream& out, const Experiment& experiment, const Plan& plan, int ranks) {
  const auto is_skipped = [](const PlannedRun& run) { return !run.skip_reason.empty(); };
  const auto skipped = std::count_if(plan.runs.begin(), plan.runs.end(), is_skipped);
  out << fmt::format("{}: {} runs, {} skipped; store {}\n", experiment.name, plan.runs.size(), skipped,
                     experiment.store.string());
  print_degrees(out, degrees_of(plan), ranks);
  for (const std::string& note : plan.notes) out << "note: " << note << '\n';
}

}  // namespace

double makespan(const std::vector<double>& predicted_s, int groups) {
  std::priority_queue<double, std::vector<double>, std::greater<>> free_at;
  for (int i = 0; i < std::max(groups, 1); ++i) free_at.push(0);
  double last = 0;
  for (const double seconds : predicted_s) {
    const double end = free_at.top() + seconds;
    free_at.pop();
    free_at.push(end);
    last = std::max(last, end);
  }
  return last;
}

void print_dry_run(std::ostream& out, const Experiment& experiment, const Plan& plan, int ranks) {
  if (plan.runs.empty()) return;
  const Split split = split_parameters(plan.runs);
  print_table(out, plan, split);
  if (!split.common.empty()) out << "\nthe same in all: " << to_string(split.common) << '\n';
  out << '\n';
  print_summary(out, experiment, plan, ranks);
}

}  // namespace hydrajob
