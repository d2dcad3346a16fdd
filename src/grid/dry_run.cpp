#include "grid/dry_run.hpp"

#include <algorithm>
#include <cstddef>
#include <set>
#include <string>
#include <vector>

#include <fmt/format.h>

#include "base/units.hpp"
#include "grid/schedule_simulation.hpp"

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
  bool collectives = false;  // some run takes time for them
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
  split.collectives =
      std::any_of(runs.begin(), runs.end(), [](const PlannedRun& run) { return run.cost.collectives_s > 0; });
  return split;
}

using Row = std::vector<std::string>;

Row header(const Split& split) {
  Row row{"run"};
  row.insert(row.end(), split.varying.begin(), split.varying.end());
  row.insert(row.end(), {"memory", "FLOPs", "bytes"});
  if (split.collectives) row.push_back("collectives");
  row.insert(row.end(), {"predicted", ""});
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
  if (split.collectives) {
    const bool together = timed && run.cost.collectives_s > 0;
    row.push_back(together ? format_seconds(run.cost.collectives_s) : "-");
  }
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

std::string percent(double share) {
  return fmt::format("{:.1f} %", 100 * share);
}

void print_stage(std::ostream& out, const SimulatedStage& stage) {
  out << fmt::format("tensor_parallel {}: {} runs on {} group{} of {} rank{}", stage.degree, stage.runs,
                     stage.groups, stage.groups == 1 ? "" : "s", stage.degree, stage.degree == 1 ? "" : "s");
  if (stage.makespan_s > 0) {
    out << fmt::format(", predicted {}, the longest run {}", format_seconds(stage.makespan_s),
                       format_seconds(stage.longest_s));
  }
  out << '\n';
}

// Of all groups' time, what they wait in collectives.
double collectives_share(const Plan& plan) {
  double collectives_s = 0, predicted_s = 0;
  for (const PlannedRun& run : plan.runs) {
    if (!run.skip_reason.empty()) continue;
    const double ranks = run.spec.tensor_parallel;
    collectives_s += ranks * run.cost.collectives_s;
    predicted_s += ranks * run.cost.predicted_s;
  }
  return predicted_s > 0 ? collectives_s / predicted_s : 0;
}

void print_schedule(std::ostream& out, const Plan& plan, int ranks, const std::string& on) {
  const SimulatedSchedule schedule = simulate_schedule(plan, ranks);
  for (const SimulatedStage& stage : schedule.stages) print_stage(out, stage);
  if (schedule.stages.empty()) return;
  const double makespan_s = schedule.makespan_s();
  if (makespan_s == 0) {
    out << "no prediction: this machine's ceilings are not known\n";
    return;
  }
  const bool loading = std::any_of(plan.runs.begin(), plan.runs.end(),
                                   [](const PlannedRun& run) { return run.cost.load_s > 0; });
  out << fmt::format("predicted in all: {}, {}, {}\n", format_seconds(makespan_s), on,
                     loading ? "loading included" : "loading left out");
  if (ranks == 0) return;
  const double in_collectives = (1 - schedule.idle_share()) * collectives_share(plan);
  out << fmt::format("of the ranks' time: {} idle{}; {:.1f} times as fast as one group\n",
                     percent(schedule.idle_share()),
                     in_collectives > 0 ? ", " + percent(in_collectives) + " in collectives" : "",
                     schedule.one_group_s() / makespan_s);
}

void print_summary(std::ostream& out, const Experiment& experiment, const Plan& plan, int ranks,
                   const std::string& on) {
  const auto is_skipped = [](const PlannedRun& run) { return !run.skip_reason.empty(); };
  const auto skipped = std::count_if(plan.runs.begin(), plan.runs.end(), is_skipped);
  out << fmt::format("{}: {} runs, {} skipped; store {}\n", experiment.name, plan.runs.size(), skipped,
                     experiment.store.string());
  print_schedule(out, plan, ranks, on);
  for (const std::string& note : plan.notes) out << "note: " << note << '\n';
}

}  // namespace

void print_dry_run(std::ostream& out, const Experiment& experiment, const Plan& plan, int ranks,
                   const std::string& on) {
  if (plan.runs.empty()) return;
  const Split split = split_parameters(plan.runs);
  print_table(out, plan, split);
  if (!split.common.empty()) out << "\nthe same in all: " << to_string(split.common) << '\n';
  out << '\n';
  print_summary(out, experiment, plan, ranks, on);
}

}  // namespace hydrajob
