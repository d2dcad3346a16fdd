#include "main/command_store.hpp"

#include <algorithm>
#include <fstream>
#include <iostream>
#include <map>
#include <optional>
#include <set>

#include <boost/program_options.hpp>
#include <fmt/format.h>

#include "base/error.hpp"
#include "base/file.hpp"
#include "base/nearest.hpp"
#include "base/units.hpp"
#include "config/experiment.hpp"
#include "main/command_arguments.hpp"
#include "store/export.hpp"
#include "store/merge.hpp"
#include "store/store_file.hpp"
#include "store/verify.hpp"

namespace hydrajob {
namespace {

namespace po = boost::program_options;
using Strings = std::vector<std::string>;

constexpr const char* usage =
    "hydrajob store ls STORE [--where CONDITIONS]             a line a run\n"
    "hydrajob store show STORE RUN                            everything of one run; RUN: the beginning of "
    "its id\n"
    "hydrajob store export STORE [--format csv|jsonl] [--samples] [-o FILE]\n"
    "hydrajob store verify STORE                              exit code 3 when something is wrong\n"
    "hydrajob store merge STORE... -o FILE                    one new store of several\n"
    "CONDITIONS: as in mode=hydragen,batch>=64\n";

// Options and positional words of one subcommand.
struct Command {
  std::string name;
  Strings words;
  po::variables_map values;

  std::optional<std::string> value(const char* option) const {
    if (values.count(option) == 0) return std::nullopt;
    return values[option].as<std::string>();
  }
  void expect_words(std::size_t least, std::size_t most) const {
    if (words.size() >= least && words.size() <= most) return;
    throw UsageError(fmt::format("store {}: {} argument{} given; hydrajob store --help tells how", name,
                                 words.size(), words.size() == 1 ? "" : "s"));
  }
};

Command parse(const std::string& name, const Strings& arguments) {
  po::options_description all;
  auto add = all.add_options();
  if (name == "ls") add("where", po::value<std::string>());
  if (name == "export") {
    add("format", po::value<std::string>()->default_value("csv"));
    add("samples", po::bool_switch());
  }
  if (name == "export" || name == "merge") add("output,o", po::value<std::string>());
  add("word", po::value<Strings>());
  po::positional_options_description positional;
  positional.add("word", -1);
  Command command;
  command.name = name;
  try {
    po::store(
        po::command_line_parser(arguments).options(all).positional(positional).style(argument_style).run(),
        command.values);
  } catch (const po::error& e) {
    throw UsageError(fmt::format("store {}: {}; hydrajob store --help tells how", name, e.what()));
  }
  if (command.values.count("word") > 0) command.words = command.values["word"].as<Strings>();
  return command;
}

// What a run gave, in short: its throughput, and how much it answered rightly, or its time, or why there is
// none.
std::string headline(const RunRecord& record) {
  if (record.status != RunStatus::ok) return record.reason;
  const auto metric = [&](const char* name) { return record.metrics.find(name); };
  if (const auto m = metric("decode_tokens_per_s"); m != record.metrics.end()) {
    const auto right = metric("accuracy");
    return fmt::format("{:.1f} tokens/s", m->second.value) +
           (right == record.metrics.end() ? "" : fmt::format(", {:.4g} % right", 100 * right->second.value));
  }
  if (const auto m = metric("attention.median"); m != record.metrics.end())
    return format_seconds(m->second.value);
  return {};
}

// Parameters that differ between the runs: those that tell them apart.
Strings varying(const std::vector<RunRecord>& records) {
  std::map<std::string, std::map<std::string, int>> values;
  for (const RunRecord& record : records) {
    for (const auto& [name, value] : record.parameters) ++values[name][to_string(value)];
  }
  Strings names;
  for (const auto& [name, counts] : values) {
    if (counts.size() > 1 || records.size() == 1) names.push_back(name);
  }
  return names;
}

void print_table(const std::vector<Strings>& rows) {
  std::vector<std::size_t> widths(rows.front().size());
  for (const Strings& row : rows) {
    for (std::size_t i = 0; i < row.size(); ++i) widths[i] = std::max(widths[i], row[i].size());
  }
  for (const Strings& row : rows) {
    std::string line;
    for (std::size_t i = 0; i < row.size(); ++i) line += fmt::format("{:<{}}  ", row[i], widths[i]);
    line.erase(line.find_last_not_of(' ') + 1);
    std::cout << line << '\n';
  }
}

// A condition on a parameter that no run has is a slip of the pen.
void expect_known(const Conditions& conditions, const std::vector<RunRecord>& records) {
  std::set<std::string> names;
  for (const RunRecord& record : records) {
    for (const auto& [name, value] : record.parameters) names.insert(name);
  }
  for (const Condition& condition : conditions) {
    if (names.count(condition.parameter) > 0) continue;
    const auto close = nearest(condition.parameter, {names.begin(), names.end()});
    throw UsageError(fmt::format("--where: no run has a parameter '{}'{}", condition.parameter,
                                 close ? fmt::format(": did you mean '{}'?", *close) : ""));
  }
}

ExitCode list(const Command& command) {
  command.expect_words(1, 1);
  auto records = read_store(command.words[0]);
  if (const auto where = command.value("where")) {
    const Conditions conditions = parse_conditions(*where, "--where");
    expect_known(conditions, records);
    std::erase_if(records, [&](const RunRecord& r) { return !holds(conditions, r.parameters); });
  }
  const Strings parameters = varying(records);
  std::vector<Strings> rows{{"run"}};
  rows[0].insert(rows[0].end(), parameters.begin(), parameters.end());
  rows[0].insert(rows[0].end(), {"attempt", "status", "result"});
  for (const RunRecord& record : records) {
    Strings row{record.run_id.substr(0, 12)};
    for (const std::string& name : parameters) {
      const auto found = record.parameters.find(name);
      row.push_back(found == record.parameters.end() ? "" : to_string(found->second));
    }
    row.insert(row.end(), {std::to_string(record.attempt), to_string(record.status), headline(record)});
    rows.push_back(std::move(row));
  }
  print_table(rows);
  return ExitCode::ok;
}

const RunRecord& find_run(const std::vector<RunRecord>& records, const std::string& prefix) {
  const RunRecord* found = nullptr;
  for (const RunRecord& record : records) {
    if (!record.run_id.starts_with(prefix)) continue;
    if (found != nullptr)
      throw UsageError("run '" + prefix + "' is the beginning of several ids: give more of it");
    found = &record;
  }
  if (found == nullptr) throw UsageError("no run's id begins with '" + prefix + "'");
  return *found;
}

// A row for each other run of the same job that overlapped this one in time: both may have shared a machine.
std::vector<Strings> neighbours(const std::vector<RunRecord>& records, const RunRecord& run) {
  std::vector<Strings> rows;
  for (const RunRecord& other : records) {
    if (&other == &run || other.environment != run.environment) continue;
    const double both_s = std::min(run.finished_unix_s, other.finished_unix_s) -
                          std::max(run.started_unix_s, other.started_unix_s);
    if (both_s > 0)
      rows.push_back({"ran beside", other.run_id.substr(0, 8), "for " + format_seconds(both_s)});
  }
  return rows;
}

ExitCode show(const Command& command) {
  command.expect_words(2, 2);
  const auto records = read_store(command.words[0]);
  const RunRecord& r = find_run(records, command.words[1]);
  std::vector<Strings> rows{{"run", r.run_id, ""},
                            {"experiment", r.experiment, ""},
                            {"status", to_string(r.status), r.reason},
                            {"attempt", std::to_string(r.attempt), ""},
                            {"took", format_seconds(r.finished_unix_s - r.started_unix_s), ""},
                            {"convergence", r.convergence, ""}};
  for (Strings& row : neighbours(records, r)) rows.push_back(std::move(row));
  for (const auto& [name, value] : r.parameters) rows.push_back({"param." + name, to_string(value), ""});
  for (const auto& [name, m] : r.metrics) {
    rows.push_back({name, fmt::format("{:.6g} {}", m.value, m.unit == "1" ? "" : m.unit), m.long_name});
  }
  for (const SampleSeries& s : r.samples) {
    rows.push_back({"samples " + s.phase, std::to_string(s.value.size()), s.warmup ? "warm-up" : "measured"});
  }
  print_table(rows);
  std::cout << "\n# configuration\n" << r.config_text << "\n# environment\n" << r.environment << '\n';
  return ExitCode::ok;
}

void export_to(std::ostream& out, const Command& command, const std::vector<RunRecord>& records) {
  const std::string format = *command.value("format");
  const bool samples = command.values["samples"].as<bool>();
  if (format == "jsonl") return export_jsonl(out, records, samples);
  samples ? export_samples_csv(out, records) : export_runs_csv(out, records);
}

// An export before this one is replaced; a store or a model, which a slip of the pen names, is not.
void expect_no_hdf5(const std::string& output) {
  if (!begins_as_hdf5(output)) return;
  throw UsageError("store export: -o " + output +
                   ": is an HDF5 file: expected a new name, or a text to replace");
}

ExitCode export_store(const Command& command) {
  command.expect_words(1, 1);
  const std::string format = *command.value("format");
  if (format != "csv" && format != "jsonl") {
    throw UsageError("store export: --format '" + format + "': expected csv or jsonl");
  }
  const auto records = read_store(command.words[0]);
  const auto output = command.value("output");
  if (!output) {
    export_to(std::cout, command, records);
    return ExitCode::ok;
  }
  expect_no_hdf5(*output);
  std::ofstream file(*output, std::ios::trunc);
  export_to(file, command, records);
  file.close();
  if (!file) throw StoreError(*output + ": cannot be written");
  return ExitCode::ok;
}

ExitCode verify(const Command& command) {
  command.expect_words(1, 1);
  const auto problems = verify_store(command.words[0]);
  for (const std::string& problem : problems) std::cerr << problem << '\n';
  if (!problems.empty()) return ExitCode::store;
  std::cout << command.words[0] << ": whole, " << read_store(command.words[0]).size() << " runs\n";
  return ExitCode::ok;
}

ExitCode merge(const Command& command) {
  command.expect_words(1, 1000000);
  const auto output = command.value("output");
  if (!output) throw UsageError("store merge: -o FILE is missing");
  const std::size_t n = merge_stores({command.words.begin(), command.words.end()}, *output);
  std::cout << *output << ": " << n << " runs of " << command.words.size() << " stores\n";
  return ExitCode::ok;
}

}  // namespace

ExitCode run_store(const Strings& arguments) {
  const std::map<std::string, ExitCode (*)(const Command&)> commands{
      {"ls", list}, {"show", show}, {"export", export_store}, {"verify", verify}, {"merge", merge}};
  if (arguments.empty() || arguments[0] == "-h" || arguments[0] == "--help") {
    std::cout << usage;
    flush_output();
    return arguments.empty() ? ExitCode::usage : ExitCode::ok;
  }
  const auto found = commands.find(arguments[0]);
  if (found == commands.end()) {
    const auto close = nearest(arguments[0], {"ls", "show", "export", "verify", "merge"});
    throw UsageError(fmt::format("store: unknown command '{}'{}", arguments[0],
                                 close ? fmt::format(": did you mean '{}'?", *close) : ""));
  }
  const Strings rest(arguments.begin() + 1, arguments.end());
  if (std::find_if(rest.begin(), rest.end(), [](const auto& a) { return a == "-h" || a == "--help"; }) !=
      rest.end()) {
    std::cout << usage;
    flush_output();
    return ExitCode::ok;
  }
  const ExitCode code = found->second(parse(arguments[0], rest));
  flush_output();
  return code;
}

}  // namespace hydrajob
