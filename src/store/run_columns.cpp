#include "store/run_columns.hpp"

#include <algorithm>
#include <cmath>
#include <functional>
#include <limits>
#include <optional>
#include <set>
#include <type_traits>
#include <utility>

#include <fmt/format.h>

#include "base/error.hpp"
#include "store/condition_columns.hpp"

namespace hydrajob {
namespace {

using Ints = std::vector<std::int64_t>;
using Doubles = std::vector<double>;
using Strings = std::vector<std::string>;

const std::string parameter_prefix = "param.";

template <class T>
Column column_of(const std::string& name, const std::string& units, const std::string& long_name,
                 const std::vector<RunRecord>& records, const std::function<T(const RunRecord&)>& value) {
  std::vector<T> values;
  values.reserve(records.size());
  for (const RunRecord& record : records) values.push_back(value(record));
  return Column{name, units, long_name, std::move(values)};
}

// Position of each distinct text, in order of first appearance.
class Texts {
 public:
  std::int64_t add(const std::string& text) {
    const auto [at, fresh] = index_.emplace(text, static_cast<std::int64_t>(texts_.size()));
    if (fresh) texts_.push_back(text);
    return at->second;
  }
  Strings take() { return std::move(texts_); }

 private:
  std::map<std::string, std::int64_t> index_;
  Strings texts_;
};

std::vector<Column> fixed_columns(const std::vector<RunRecord>& records, Texts& configs,
                                  Texts& environments) {
  std::vector<Column> columns;
  std::int64_t next = 0;
  const auto ints = [&](const char* name, const char* what, std::function<std::int64_t(const RunRecord&)> f) {
    columns.push_back(column_of<std::int64_t>(name, "1", what, records, f));
  };
  const auto texts = [&](const char* name, const char* what, std::function<std::string(const RunRecord&)> f) {
    columns.push_back(column_of<std::string>(name, "1", what, records, f));
  };
  const auto times = [&](const char* name, const char* what, std::function<double(const RunRecord&)> f) {
    columns.push_back(column_of<double>(name, "s", what, records, f));
  };
  ints("run", "index of the run in this table", [&](const RunRecord&) { return next++; });
  texts("run_id", "digest of the run's parameters, weights and code",
        [](const RunRecord& r) { return r.run_id; });
  ints("attempt", "which start of the run this is, from 1", [](const RunRecord& r) { return r.attempt; });
  texts("status", "how the run ended", [](const RunRecord& r) { return to_string(r.status); });
  texts("reason", "why, where it is not ok", [](const RunRecord& r) { return r.reason; });
  texts("convergence", "whether the samples converged, in words",
        [](const RunRecord& r) { return r.convergence; });
  texts("experiment", "name of the configuration", [](const RunRecord& r) { return r.experiment; });
  ints("group", "group of ranks that did the run", [](const RunRecord& r) { return r.group; });
  ints("first_rank", "first rank of that group in the job", [](const RunRecord& r) { return r.first_rank; });
  times("started_unix_s", "start, since 1970-01-01 UTC", [](const RunRecord& r) { return r.started_unix_s; });
  times("finished_unix_s", "end, since 1970-01-01 UTC", [](const RunRecord& r) { return r.finished_unix_s; });
  ints("config", "index into /configs/text", [&](const RunRecord& r) { return configs.add(r.config_text); });
  ints("environment", "index into /environments/text",
       [&](const RunRecord& r) { return environments.add(r.environment); });
  return columns;
}

// --- parameters
// ----------------------------------------------------------------------------------------------------

// int64 where all are; double where numbers are mixed; text where any is, or where a double would lose digits
// of an int64.
enum class ValueType { integer, real, text };

ValueType wider(ValueType a, const Value& value) {
  const auto b = static_cast<ValueType>(value.index());
  return static_cast<int>(a) > static_cast<int>(b) ? a : b;
}

double as_real(const Value& value) {
  return std::holds_alternative<std::int64_t>(value) ? static_cast<double>(std::get<std::int64_t>(value))
                                                     : std::get<double>(value);
}

bool all_exact(const std::string& name, const std::vector<RunRecord>& records) {
  constexpr std::int64_t largest = std::int64_t{1} << 53;
  return std::all_of(records.begin(), records.end(), [&](const RunRecord& record) {
    const auto found = record.parameters.find(name);
    const auto* value =
        found == record.parameters.end() ? nullptr : std::get_if<std::int64_t>(&found->second);
    return value == nullptr || (*value >= -largest && *value <= largest);
  });
}

Column parameter_column(const std::string& name, ValueType type, const std::vector<RunRecord>& records) {
  Column column{parameter_prefix + name, "1", "parameter " + name, {}};
  Ints ints;
  Doubles reals;
  Strings texts;
  for (const RunRecord& record : records) {
    const auto found = record.parameters.find(name);
    const bool there = found != record.parameters.end();
    column.missing = column.missing || !there;
    if (type == ValueType::integer)
      ints.push_back(there ? std::get<std::int64_t>(found->second) : missing_int);
    if (type == ValueType::real) reals.push_back(there ? as_real(found->second) : std::nan(""));
    if (type == ValueType::text) texts.push_back(there ? to_string(found->second) : "");
  }
  if (type == ValueType::integer) column.values = std::move(ints);
  if (type == ValueType::real) column.values = std::move(reals);
  if (type == ValueType::text) column.values = std::move(texts);
  return column;
}

void add_parameters(std::vector<Column>& columns, const std::vector<RunRecord>& records) {
  std::map<std::string, ValueType> types;
  for (const RunRecord& record : records) {
    for (const auto& [name, value] : record.parameters) {
      ValueType& type = types.emplace(name, ValueType::integer).first->second;
      type = wider(type, value);
    }
  }
  for (auto& [name, type] : types) {
    if (type == ValueType::real && !all_exact(name, records)) type = ValueType::text;
  }
  for (const auto& [name, type] : types) columns.push_back(parameter_column(name, type, records));
}

// --- metrics and samples
// -------------------------------------------------------------------------------------------

void add_metrics(std::vector<Column>& columns, const std::vector<RunRecord>& records) {
  std::map<std::string, Column> by_name;
  for (const RunRecord& record : records) {
    for (const auto& [name, metric] : record.metrics) {
      by_name.try_emplace(name, Column{name, metric.unit, metric.long_name, Doubles{}, false, 8});
    }
  }
  for (auto& [name, column] : by_name) {
    Doubles values;
    for (const RunRecord& record : records) {
      const auto found = record.metrics.find(name);
      const double value = found == record.metrics.end() ? std::nan("") : found->second.value;
      column.missing = column.missing || std::isnan(value);
      values.push_back(value);
    }
    column.values = std::move(values);
    columns.push_back(std::move(column));
  }
}

struct SampleColumns {
  std::string unit;
  Doubles value;
  Ints run, rank, iteration, step, warmup;
  std::vector<SampleCondition> condition;
};

// A column for each thing that any device told.
void add_conditions(std::vector<Column>& columns, const std::vector<SampleCondition>& conditions) {
  for_each_condition([&](const char* name, const char* unit, const char* long_name, auto member) {
    using T = typename std::decay_t<decltype(SampleCondition{}.*member)>::value_type;
    std::vector<T> values;
    bool any = false, all = true;
    for (const SampleCondition& condition : conditions) {
      const std::optional<T>& value = condition.*member;
      values.push_back(value.value_or(missing_of(T{})));
      any = any || value;
      all = all && value;
    }
    if (any) columns.push_back({name, unit, long_name, std::move(values), !all, 8});
  });
}

std::vector<Column> to_columns(SampleColumns s) {
  std::vector<Column> columns;
  columns.push_back({"value", s.unit, "the sample", std::move(s.value), false, 8});
  columns.push_back({"run", "1", "index into /runs", std::move(s.run), false, 8});
  columns.push_back({"rank", "1", "rank within the group", std::move(s.rank), false, 4});
  columns.push_back({"iteration", "1", "iteration, warm-up counted apart", std::move(s.iteration), false, 4});
  columns.push_back({"step", "1", "step within the iteration", std::move(s.step), false, 4});
  columns.push_back({"warmup", "1", "1: a warm-up sample, 0: a measured one", std::move(s.warmup), false, 1});
  add_conditions(columns, s.condition);
  return columns;
}

std::map<std::string, std::vector<Column>> sample_tables(const std::vector<RunRecord>& records) {
  std::map<std::string, SampleColumns> phases;
  for (std::size_t run = 0; run < records.size(); ++run) {
    for (const SampleSeries& series : records[run].samples) {
      SampleColumns& phase = phases[series.phase];
      phase.unit = series.unit;
      phase.value.insert(phase.value.end(), series.value.begin(), series.value.end());
      phase.run.insert(phase.run.end(), series.value.size(), static_cast<std::int64_t>(run));
      phase.rank.insert(phase.rank.end(), series.rank.begin(), series.rank.end());
      phase.iteration.insert(phase.iteration.end(), series.iteration.begin(), series.iteration.end());
      phase.step.insert(phase.step.end(), series.step.begin(), series.step.end());
      phase.warmup.insert(phase.warmup.end(), series.value.size(), series.warmup ? 1 : 0);
      phase.condition.insert(phase.condition.end(), series.condition.begin(), series.condition.end());
      phase.condition.resize(phase.value.size());
    }
  }
  std::map<std::string, std::vector<Column>> tables;
  for (auto& [phase, columns] : phases) tables.emplace(phase, to_columns(std::move(columns)));
  return tables;
}

// --- back to records
// -----------------------------------------------------------------------------------------------

class Reader {
 public:
  Reader(const StoreTables& tables, const std::string& where) : tables_(tables), where_(where) {}

  std::vector<RunRecord> read() {
    const Column& ids = fixed("run_id");
    records_.resize(ids.size());
    for (const Column& column : tables_.runs) check_length(column, ids.size(), "/runs/");
    read_fixed();
    for (const Column& column : tables_.runs) read_free(column);
    for (const auto& [phase, columns] : tables_.samples) read_samples(phase, columns);
    return std::move(records_);
  }

 private:
  [[noreturn]] void fail(const std::string& what) const { throw StoreError(where_ + ": " + what); }

  const Column& fixed(const std::string& name) {
    fixed_.insert(name);
    return find(tables_.runs, name, "/runs/");
  }

  const Column& find(const std::vector<Column>& columns, const std::string& name,
                     const std::string& group) const {
    for (const Column& column : columns) {
      if (column.name == name) return column;
    }
    fail(group + name + " is missing");
  }

  void check_length(const Column& column, std::size_t n, const std::string& group) const {
    if (column.size() == n) return;
    fail(fmt::format("{}{} has {} values, expected {}", group, column.name, column.size(), n));
  }

  template <class T>
  const std::vector<T>& values(const Column& column, const char* expected) const {
    const auto* found = std::get_if<std::vector<T>>(&column.values);
    if (found == nullptr) fail(fmt::format("{} holds another type, expected {}", column.name, expected));
    return *found;
  }
  static const char* name_of_type(std::int64_t) { return "integers"; }
  static const char* name_of_type(double) { return "floating-point numbers"; }
  const Ints& ints(const Column& c) const { return values<std::int64_t>(c, name_of_type(std::int64_t{})); }
  const Doubles& reals(const Column& c) const { return values<double>(c, name_of_type(double{})); }
  const Strings& texts(const Column& c) const { return values<std::string>(c, "strings"); }

  const std::string& text_at(const Strings& all, std::int64_t index, const std::string& what) const {
    if (index < 0 || index >= static_cast<std::int64_t>(all.size())) {
      fail(fmt::format("/runs/{} points at text {} of {}", what, index, all.size()));
    }
    return all[static_cast<std::size_t>(index)];
  }

  RunStatus status_of(const std::string& text) const {
    try {
      return parse_run_status(text);
    } catch (const StoreError& e) {
      fail(std::string("/runs/status: ") + e.what());
    }
  }

  void read_fixed() {
    fixed("run");
    const Strings& id = texts(fixed("run_id"));
    const Ints& attempt = ints(fixed("attempt"));
    const Strings& status = texts(fixed("status"));
    const Strings& reason = texts(fixed("reason"));
    const Strings& convergence = texts(fixed("convergence"));
    const Strings& experiment = texts(fixed("experiment"));
    const Ints& group = ints(fixed("group"));
    const Ints& first_rank = ints(fixed("first_rank"));
    const Doubles& started = reals(fixed("started_unix_s"));
    const Doubles& finished = reals(fixed("finished_unix_s"));
    const Ints& config = ints(fixed("config"));
    const Ints& environment = ints(fixed("environment"));
    for (std::size_t i = 0; i < records_.size(); ++i) {
      RunRecord& r = records_[i];
      r.run_id = id[i];
      r.attempt = static_cast<std::int32_t>(attempt[i]);
      r.status = status_of(status[i]);
      r.reason = reason[i];
      r.convergence = convergence[i];
      r.experiment = experiment[i];
      r.group = static_cast<std::int32_t>(group[i]);
      r.first_rank = static_cast<std::int32_t>(first_rank[i]);
      r.started_unix_s = started[i];
      r.finished_unix_s = finished[i];
      r.config_text = text_at(tables_.configs, config[i], "config");
      r.environment = text_at(tables_.environments, environment[i], "environment");
    }
  }

  void read_free(const Column& column) {
    if (fixed_.count(column.name) > 0) return;
    if (column.name.starts_with(parameter_prefix)) {
      read_parameter(column, column.name.substr(parameter_prefix.size()));
    } else {
      const Doubles& value = reals(column);
      for (std::size_t i = 0; i < value.size(); ++i) {
        if (!column.missing || !is_missing(value[i]))
          records_[i].metrics[column.name] = {value[i], column.units, column.long_name};
      }
    }
  }

  void read_parameter(const Column& column, const std::string& name) {
    for (std::size_t i = 0; i < records_.size(); ++i) {
      std::visit(
          [&](const auto& values) {
            using T = typename std::decay_t<decltype(values)>::value_type;
            if (!column.missing || !is_missing(values[i])) records_[i].parameters[name] = T(values[i]);
          },
          column.values);
    }
  }

  static bool is_missing(std::int64_t value) { return value == missing_int; }
  static bool is_missing(double value) { return std::isnan(value); }
  static bool is_missing(const std::string& value) { return value.empty(); }

  void read_samples(const std::string& phase, const std::vector<Column>& columns) {
    const std::string group = "/samples/" + phase + "/";
    const Column& value_column = find(columns, "value", group);
    for (const Column& column : columns) check_length(column, value_column.size(), group);
    const Doubles& value = reals(value_column);
    const Ints& run = ints(find(columns, "run", group));
    const Ints& rank = ints(find(columns, "rank", group));
    const Ints& iteration = ints(find(columns, "iteration", group));
    const Ints& step = ints(find(columns, "step", group));
    const Ints& warmup = ints(find(columns, "warmup", group));
    const std::vector<SampleCondition> condition = conditions(columns, value.size());
    std::map<std::pair<std::int64_t, bool>, SampleSeries> series;
    for (std::size_t i = 0; i < value.size(); ++i) {
      if (run[i] < 0 || run[i] >= static_cast<std::int64_t>(records_.size())) {
        fail(fmt::format("{}run points at run {} of {}", group, run[i], records_.size()));
      }
      SampleSeries& s = series[{run[i], warmup[i] != 0}];
      s.value.push_back(value[i]);
      s.rank.push_back(static_cast<std::int32_t>(rank[i]));
      s.iteration.push_back(static_cast<std::int32_t>(iteration[i]));
      s.step.push_back(static_cast<std::int32_t>(step[i]));
      s.condition.push_back(condition[i]);
    }
    for (auto& [key, s] : series) {
      s.phase = phase;
      s.unit = value_column.units;
      s.warmup = key.second;
      drop_untold(s);
      records_[static_cast<std::size_t>(key.first)].samples.push_back(std::move(s));
    }
  }

  // Stores of devices that do not tell, and those of earlier versions, have none of these columns.
  std::vector<SampleCondition> conditions(const std::vector<Column>& columns, std::size_t n) const {
    std::vector<SampleCondition> all(n);
    for_each_condition([&](const std::string& name, const char*, const char*, auto member) {
      using T = typename std::decay_t<decltype(SampleCondition{}.*member)>::value_type;
      const auto column =
          std::find_if(columns.begin(), columns.end(), [&](const Column& c) { return c.name == name; });
      if (column == columns.end()) return;
      const std::vector<T>& told = values<T>(*column, name_of_type(T{}));
      for (std::size_t i = 0; i < n; ++i) {
        if (!is_missing(told[i])) all[i].*member = told[i];
      }
    });
    return all;
  }

  const StoreTables& tables_;
  std::string where_;
  std::vector<RunRecord> records_;
  std::set<std::string> fixed_;
};

}  // namespace

StoreTables to_tables(const std::vector<RunRecord>& records) {
  StoreTables tables;
  Texts configs, environments;
  tables.runs = fixed_columns(records, configs, environments);
  add_parameters(tables.runs, records);
  add_metrics(tables.runs, records);
  tables.samples = sample_tables(records);
  tables.configs = configs.take();
  tables.environments = environments.take();
  return tables;
}

std::vector<RunRecord> to_records(const StoreTables& tables, const std::string& where) {
  return Reader(tables, where).read();
}

}  // namespace hydrajob
