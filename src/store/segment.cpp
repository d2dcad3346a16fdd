#include "store/segment.hpp"

#include <algorithm>
#include <cmath>
#include <map>
#include <string>
#include <type_traits>
#include <unistd.h>

#include <fmt/format.h>
#include <nlohmann/json.hpp>

#include "base/error.hpp"
#include "base/file.hpp"
#include "base/process.hpp"
#include "store/condition_columns.hpp"
#include "store/sealed_file.hpp"

namespace hydrajob {
namespace {

using Json = nlohmann::json;

constexpr const char* format_name = "hydrajob-runs";
constexpr int format_version = 1;
constexpr const char* extension = ".json";

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
    if (!series.condition.empty()) series.condition[kept] = series.condition[i];
    ++kept;
  }
  series.value.resize(kept);
  series.rank.resize(kept);
  series.iteration.resize(kept);
  series.step.resize(kept);
  if (!series.condition.empty()) series.condition.resize(kept);
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
    const bool told = s.condition.empty() || s.condition.size() == n;
    if (s.rank.size() == n && s.iteration.size() == n && s.step.size() == n && told) continue;
    throw StoreError(fmt::format(
        "run {}: samples of {}: {} values, {} ranks, {} iterations, {} steps, {} conditions", record.run_id,
        s.phase, n, s.rank.size(), s.iteration.size(), s.step.size(), s.condition.size()));
  }
}

Json to_json(const Value& value) {
  return std::visit([](const auto& held) { return Json(held); }, value);
}

Value to_value(const Json& json) {
  if (json.is_number_integer()) return json.get<std::int64_t>();
  if (json.is_number_float()) return json.get<double>();
  return json.get<std::string>();
}

// The arrays of what was told, null where it was not; none where nothing was.
void add_conditions(Json& json, const SampleSeries& s) {
  for_each_condition([&](const char* name, const char*, const char*, auto member) {
    const auto tells = [&](const SampleCondition& condition) { return (condition.*member).has_value(); };
    if (std::none_of(s.condition.begin(), s.condition.end(), tells)) return;
    Json& values = json[name] = Json::array();
    for (const SampleCondition& condition : s.condition) {
      values.push_back(tells(condition) ? Json(*(condition.*member)) : Json());
    }
  });
}

void read_conditions(const Json& json, SampleSeries& s) {
  for_each_condition([&](const char* name, const char*, const char*, auto member) {
    using T = typename std::decay_t<decltype(SampleCondition{}.*member)>::value_type;
    if (!json.contains(name)) return;
    const Json& values = json.at(name);
    if (values.size() != s.value.size()) {
      throw StoreError(
          fmt::format("samples of {}: {} values, {} of {}", s.phase, s.value.size(), values.size(), name));
    }
    s.condition.resize(values.size());
    for (std::size_t i = 0; i < values.size(); ++i) {
      if (!values[i].is_null()) s.condition[i].*member = values[i].get<T>();
    }
  });
}

Json to_json(const RunRecord& record) {
  Json parameters = Json::object(), metrics = Json::object(), samples = Json::array();
  for (const auto& [name, value] : record.parameters) parameters[name] = to_json(value);
  for (const auto& [name, metric] : record.metrics) {
    metrics[name] = {{"value", metric.value}, {"unit", metric.unit}, {"long_name", metric.long_name}};
  }
  for (const SampleSeries& s : record.samples) {
    samples.push_back({{"phase", s.phase},
                       {"unit", s.unit},
                       {"warmup", s.warmup},
                       {"value", s.value},
                       {"rank", s.rank},
                       {"iteration", s.iteration},
                       {"step", s.step}});
    add_conditions(samples.back(), s);
  }
  return {{"run_id", record.run_id},
          {"attempt", record.attempt},
          {"status", to_string(record.status)},
          {"reason", record.reason},
          {"convergence", record.convergence},
          {"experiment", record.experiment},
          {"group", record.group},
          {"first_rank", record.first_rank},
          {"started_unix_s", record.started_unix_s},
          {"finished_unix_s", record.finished_unix_s},
          {"parameters", std::move(parameters)},
          {"metrics", std::move(metrics)},
          {"samples", std::move(samples)},
          {"config", record.config_text},
          {"environment", record.environment}};
}

SampleSeries to_series(const Json& json) {
  SampleSeries s;
  json.at("phase").get_to(s.phase);
  json.at("unit").get_to(s.unit);
  json.at("warmup").get_to(s.warmup);
  json.at("value").get_to(s.value);
  json.at("rank").get_to(s.rank);
  json.at("iteration").get_to(s.iteration);
  json.at("step").get_to(s.step);
  read_conditions(json, s);
  return s;
}

RunRecord to_record(const Json& json) {
  RunRecord record;
  json.at("run_id").get_to(record.run_id);
  json.at("attempt").get_to(record.attempt);
  record.status = parse_run_status(json.at("status").get<std::string>());
  json.at("reason").get_to(record.reason);
  json.at("convergence").get_to(record.convergence);
  json.at("experiment").get_to(record.experiment);
  json.at("group").get_to(record.group);
  json.at("first_rank").get_to(record.first_rank);
  json.at("started_unix_s").get_to(record.started_unix_s);
  json.at("finished_unix_s").get_to(record.finished_unix_s);
  json.at("config").get_to(record.config_text);
  json.at("environment").get_to(record.environment);
  for (const auto& [name, value] : json.at("parameters").items()) record.parameters[name] = to_value(value);
  for (const auto& [name, metric] : json.at("metrics").items()) {
    record.metrics[name] = {metric.at("value").get<double>(), metric.at("unit").get<std::string>(),
                            metric.at("long_name").get<std::string>()};
  }
  for (const Json& series : json.at("samples")) record.samples.push_back(to_series(series));
  expect_equal_lengths(record);
  return record;
}

std::vector<char> to_bytes(const std::vector<RunRecord>& records) {
  Json runs = Json::array();
  for (const RunRecord& record : records) {
    expect_equal_lengths(record);
    const std::string hole = first_non_finite(record);
    runs.push_back(to_json(hole.empty() ? record : without_holes(record, hole)));
  }
  const Json all = {{"format", format_name}, {"version", format_version}, {"runs", std::move(runs)}};
  // A message of the system in another encoding costs its odd characters, not the run.
  const std::string text = all.dump(-1, ' ', false, Json::error_handler_t::replace) + '\n';
  return {text.begin(), text.end()};
}

void expect_version(const Json& json, const std::filesystem::path& path) {
  if (json.value("format", "") != format_name)
    throw StoreError(path.string() + ": not a segment: no format '" + format_name + "'");
  const int version = json.value("version", 0);
  if (version != format_version) {
    throw StoreError(
        fmt::format("{}: version {}, this program reads {}", path.string(), version, format_version));
  }
}

}  // namespace

void commit_segment(const std::filesystem::path& store, const std::vector<RunRecord>& records) {
  if (records.empty()) return;
  const std::vector<char> bytes = to_bytes(records);
  const std::filesystem::path folder = segment_folder(store);
  make_lasting_folder(folder);
  const RunRecord& first = records.front();
  std::string name = fmt::format("{}-{}", first.run_id, first.attempt);
  if (records.size() > 1) name += fmt::format("-and-{}", records.size() - 1);
  const std::filesystem::path temporary =
      folder / fmt::format(".{}.tmp.{}.{}", name, process_space(), ::getpid());
  try {
    write_sealed(temporary, bytes);
    publish_file(temporary, folder / (name + extension));
  } catch (...) {
    std::error_code error;
    std::filesystem::remove(temporary, error);
    throw;
  }
}

std::vector<RunRecord> read_segment(const std::filesystem::path& path) {
  const std::vector<char> bytes = read_sealed(path);
  try {
    const Json json = Json::parse(bytes.begin(), bytes.end());
    expect_version(json, path);
    std::vector<RunRecord> records;
    for (const Json& run : json.at("runs")) records.push_back(to_record(run));
    return records;
  } catch (const nlohmann::json::exception& e) {
    throw StoreError(path.string() + ": damaged: " + e.what());
  }
}

std::filesystem::path store_folder(const std::filesystem::path& store) {
  return store.string() + ".d";
}

std::filesystem::path segment_folder(const std::filesystem::path& store) {
  return store_folder(store) / "segments";
}

std::vector<std::filesystem::path> segments_of(const std::filesystem::path& store) {
  std::vector<std::filesystem::path> segments;
  std::error_code none;
  for (const auto& entry : std::filesystem::directory_iterator(segment_folder(store), none)) {
    if (entry.path().extension() == extension) segments.push_back(entry.path());
  }
  std::sort(segments.begin(), segments.end());
  return segments;
}

}  // namespace hydrajob
