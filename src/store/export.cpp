#include "store/export.hpp"

#include <cmath>

#include <fmt/format.h>
#include <fmt/ranges.h>
#include <nlohmann/json.hpp>

#include "store/condition_columns.hpp"
#include "store/run_columns.hpp"

namespace hydrajob {
namespace {

// RFC 4180.
std::string csv_field(const std::string& text) {
  if (text.find_first_of(",\"\r\n") == std::string::npos) return text;
  std::string quoted = "\"";
  for (const char c : text) quoted += c == '"' ? std::string("\"\"") : std::string(1, c);
  return quoted + '"';
}

std::string json_string(const std::string& text) {
  return nlohmann::json(text).dump(-1, ' ', false, nlohmann::json::error_handler_t::replace);
}

std::string json_value(const Value& value) {
  if (const auto* text = std::get_if<std::string>(&value)) return json_string(*text);
  if (const auto* real = std::get_if<double>(&value); real && !std::isfinite(*real)) return "null";
  return to_string(value);
}

std::string cell(const Column& column, std::size_t row) {
  if (const auto* ints = std::get_if<std::vector<std::int64_t>>(&column.values)) {
    return column.missing && (*ints)[row] == missing_int ? "" : fmt::format("{}", (*ints)[row]);
  }
  if (const auto* reals = std::get_if<std::vector<double>>(&column.values)) {
    return std::isnan((*reals)[row]) ? "" : fmt::format("{}", (*reals)[row]);
  }
  return csv_field(std::get<std::vector<std::string>>(column.values)[row]);
}

// The value of each sample, `missing` where its device did not tell.
template <class Member>
std::vector<std::string> told_texts(const SampleSeries& s, Member member, const std::string& missing) {
  std::vector<std::string> texts;
  for (const SampleCondition& condition : s.condition) {
    const auto& value = condition.*member;
    texts.push_back(value ? fmt::format("{}", *value) : missing);
  }
  texts.resize(s.value.size(), missing);
  return texts;
}

std::string json_conditions(const SampleSeries& s) {
  std::string text;
  if (s.condition.empty()) return text;
  for_each_condition([&](const char* name, const char*, const char*, auto member) {
    text += fmt::format(R"(,"{}":[{}])", name, fmt::join(told_texts(s, member, "null"), ","));
  });
  return text;
}

std::string json_series(const SampleSeries& s) {
  return fmt::format(
      R"({{"phase":{},"unit":{},"warmup":{},"value":[{}],"rank":[{}],"iteration":[{}],"step":[{}]{}}})",
      json_string(s.phase), json_string(s.unit), s.warmup, fmt::join(s.value, ","), fmt::join(s.rank, ","),
      fmt::join(s.iteration, ","), fmt::join(s.step, ","), json_conditions(s));
}

std::string json_head(const RunRecord& r) {
  return fmt::format(
      R"("run_id":{},"attempt":{},"status":{},"reason":{},"convergence":{},"experiment":{},"group":{},"first_rank":{},)"
      R"("started_unix_s":{:.6f},"finished_unix_s":{:.6f})",
      json_string(r.run_id), r.attempt, json_string(to_string(r.status)), json_string(r.reason),
      json_string(r.convergence), json_string(r.experiment), r.group, r.first_rank, r.started_unix_s,
      r.finished_unix_s);
}

}  // namespace

void export_runs_csv(std::ostream& out, const std::vector<RunRecord>& records) {
  const StoreTables tables = to_tables(records);
  std::vector<std::string> fields;
  for (const Column& column : tables.runs) fields.push_back(csv_field(column.name));
  out << fmt::format("{}\n", fmt::join(fields, ","));
  for (std::size_t row = 0; row < records.size(); ++row) {
    fields.clear();
    for (const Column& column : tables.runs) fields.push_back(cell(column, row));
    out << fmt::format("{}\n", fmt::join(fields, ","));
  }
}

void export_samples_csv(std::ostream& out, const std::vector<RunRecord>& records) {
  out << "run_id,phase,value,unit,rank,iteration,step,warmup";
  for_each_condition([&](const char* name, const char*, const char*, auto) { out << ',' << name; });
  out << '\n';
  for (const RunRecord& r : records) {
    for (const SampleSeries& s : r.samples) {
      std::vector<std::vector<std::string>> told;
      for_each_condition([&](const char*, const char*, const char*, auto member) {
        told.push_back(told_texts(s, member, ""));
      });
      for (std::size_t i = 0; i < s.value.size(); ++i) {
        out << fmt::format("{},{},{},{},{},{},{},{}", r.run_id, csv_field(s.phase), s.value[i],
                           csv_field(s.unit), s.rank[i], s.iteration[i], s.step[i], s.warmup ? 1 : 0);
        for (const auto& texts : told) out << ',' << texts[i];
        out << '\n';
      }
    }
  }
}

void export_jsonl(std::ostream& out, const std::vector<RunRecord>& records, bool samples) {
  for (const RunRecord& r : records) {
    std::vector<std::string> parameters, metrics, series;
    for (const auto& [name, value] : r.parameters)
      parameters.push_back(json_string(name) + ":" + json_value(value));
    for (const auto& [name, metric] : r.metrics) {
      metrics.push_back(fmt::format("{}:{}", json_string(name), metric.value));
    }
    for (const SampleSeries& s : r.samples) series.push_back(json_series(s));
    out << fmt::format("{{{},\"parameters\":{{{}}},\"metrics\":{{{}}}", json_head(r),
                       fmt::join(parameters, ","), fmt::join(metrics, ","));
    if (samples) out << fmt::format(",\"samples\":[{}]", fmt::join(series, ","));
    out << "}\n";
  }
}

}  // namespace hydrajob
