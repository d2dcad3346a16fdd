#include "unit/store/file_records.hpp"

#include <algorithm>
#include <array>
#include <cmath>
#include <cstdlib>
#include <optional>
#include <set>

#include <fmt/format.h>
#include <fmt/ranges.h>

#include "base/digest.hpp"

namespace hydrajob::test {
namespace {

const std::array<std::string, 3> phases{"prefill", "decode_step", "total"};
constexpr std::int64_t beyond_double = (std::int64_t{1} << 53) + 1;

std::string describe(const Value& value) {
  if (const auto* integer = std::get_if<std::int64_t>(&value)) return fmt::format("int {}", *integer);
  if (const auto* real = std::get_if<double>(&value)) return fmt::format("real {:a}", *real);
  return fmt::format("text {}", std::get<std::string>(value));
}

template <class T>
std::string describe(const std::optional<T>& value) {
  return value ? fmt::format("{}", *value) : "-";
}

std::string describe(const SampleSeries& s) {
  std::vector<std::string> values;
  for (const double value : s.value) values.push_back(fmt::format("{:a}", value));
  std::string described_conditions;
  for (const SampleCondition& c : s.condition) {
    described_conditions += fmt::format("    {} MHz, reasons {}, {} W\n", describe(c.sm_clock_mhz),
                                        describe(c.throttle_reasons), describe(c.power_w));
  }
  return fmt::format("  {} [{}] warmup={}: {} rank {} iteration {} step {}\n", s.phase, s.unit, s.warmup,
                     fmt::join(values, ","), fmt::join(s.rank, ","), fmt::join(s.iteration, ","),
                     fmt::join(s.step, ",")) +
         described_conditions;
}

// One type for every value of a parameter: text where any is, or where a double would lose an integer's
// digits.
void unify(std::vector<RunRecord>& records, const std::string& name) {
  bool any_text = false, any_real = false, any_beyond = false;
  for (const RunRecord& r : records) {
    const auto found = r.parameters.find(name);
    if (found == r.parameters.end()) continue;
    any_text = any_text || std::holds_alternative<std::string>(found->second);
    any_real = any_real || std::holds_alternative<double>(found->second);
    const auto* integer = std::get_if<std::int64_t>(&found->second);
    any_beyond = any_beyond || (integer != nullptr && std::abs(*integer) >= beyond_double);
  }
  for (RunRecord& r : records) {
    const auto found = r.parameters.find(name);
    if (found == r.parameters.end()) continue;
    const auto* integer = std::get_if<std::int64_t>(&found->second);
    if (any_text || (any_real && any_beyond)) {
      found->second = to_string(found->second);
    } else if (any_real && integer != nullptr) {
      found->second = static_cast<double>(*integer);
    }
  }
}

}  // namespace

std::int64_t RandomRecords::below(std::int64_t end) {
  return std::uniform_int_distribution<std::int64_t>(0, end - 1)(random_);
}

double RandomRecords::real() {
  return std::uniform_real_distribution<double>(-1, 1)(random_) *
         std::pow(10.0, static_cast<double>(below(40) - 20));
}

std::string RandomRecords::text() {
  static const std::array<std::string, 8> pieces{"plain",     "a,b",    "\"quoted\"", "line\nbreak",
                                                 "r\u00e4nk", "\u20ac", "\U0001d11e", " "};
  std::string text = "x";
  for (std::int64_t n = below(5); n > 0; --n) text += pieces[static_cast<std::size_t>(below(pieces.size()))];
  return text;
}

Value RandomRecords::parameter(int kind) {
  switch (kind) {
    case 0:
      return below(1 << 20) - (1 << 19);
    case 1:
      return real();
    case 2:
      return text();
    case 3:
      return often() ? Value(below(1000)) : Value(real());
    case 4:
      return often() ? Value(below(1000)) : Value(text());
    default:
      return often() ? Value(beyond_double + below(1000)) : Value(real());
  }
}

SampleSeries RandomRecords::series(const std::string& phase, bool warmup) {
  SampleSeries s;
  s.phase = phase;
  s.warmup = warmup;
  for (std::int64_t n = 1 + below(40); n > 0; --n) {
    s.value.push_back(std::abs(real()));
    s.rank.push_back(static_cast<std::int32_t>(below(8)));
    s.iteration.push_back(static_cast<std::int32_t>(below(100)));
    s.step.push_back(static_cast<std::int32_t>(below(1000)));
  }
  if (!often()) return s;  // of a device that tells nothing
  const bool tells_power = often();
  for (std::size_t i = 0; i < s.value.size(); ++i) {
    SampleCondition condition;
    if (often()) condition.sm_clock_mhz = static_cast<double>(below(2000));
    if (often()) condition.throttle_reasons = often() ? below(512) : beyond_double + below(512);
    if (tells_power) condition.power_w = std::abs(real());
    s.condition.push_back(condition);
  }
  drop_untold(s);
  return s;
}

RunRecord RandomRecords::record() {
  RunRecord r;
  r.run_id = digest128(fmt::format("{}", random_()));
  r.attempt = static_cast<std::int32_t>(1 + below(3));
  r.status = often() ? RunStatus::ok : static_cast<RunStatus>(1 + below(5));
  r.reason = r.status == RunStatus::ok ? "" : text();
  r.convergence = often() ? text() : "";
  r.experiment = text();
  for (int kind = 0; kind < 12; ++kind) {
    if (often()) r.parameters[fmt::format("p{}", kind)] = parameter(kind % 6);
  }
  for (int i = 0; i < 10; ++i) {
    if (often())
      r.metrics[fmt::format("m{}.median", i)] = {real(), i % 2 == 0 ? "s" : "B", fmt::format("metric {}", i)};
  }
  for (const std::string& phase : phases) {
    if (often()) r.samples.push_back(series(phase, false));
    if (often()) r.samples.push_back(series(phase, true));
  }
  r.config_text = fmt::format("name: config {}\n", below(3));
  r.environment = fmt::format("{{\"machine\": {}}}", below(3));
  r.started_unix_s = 1.7e9 + real();
  r.finished_unix_s = r.started_unix_s + std::abs(real());
  r.group = static_cast<std::int32_t>(below(4));
  r.first_rank = static_cast<std::int32_t>(below(16));
  return r;
}

std::vector<RunRecord> RandomRecords::records(std::size_t n) {
  std::vector<RunRecord> all;
  while (all.size() < n) all.push_back(record());
  return all;
}

std::vector<RunRecord> as_read(std::vector<RunRecord> records) {
  std::set<std::string> names;
  for (RunRecord& r : records) {
    for (const auto& [name, value] : r.parameters) names.insert(name);
    std::stable_sort(r.samples.begin(), r.samples.end(), [](const SampleSeries& a, const SampleSeries& b) {
      return std::pair(a.phase, a.warmup) < std::pair(b.phase, b.warmup);
    });
  }
  for (const std::string& name : names) unify(records, name);
  return records;
}

std::string describe(const RunRecord& r) {
  std::string text = fmt::format(
      "run {} attempt {} {} reason={} convergence={} experiment={} group {} first_rank {} {:a} {:a}\n",
      r.run_id, r.attempt, to_string(r.status), r.reason, r.convergence, r.experiment, r.group, r.first_rank,
      r.started_unix_s, r.finished_unix_s);
  text += fmt::format("  config={} environment={}\n", r.config_text, r.environment);
  for (const auto& [name, value] : r.parameters)
    text += fmt::format("  param {} {}\n", name, describe(value));
  for (const auto& [name, m] : r.metrics) {
    text += fmt::format("  metric {} {:a} [{}] {}\n", name, m.value, m.unit, m.long_name);
  }
  for (const SampleSeries& s : r.samples) text += describe(s);
  return text;
}

std::string describe(const std::vector<RunRecord>& records) {
  std::string text;
  for (const RunRecord& r : records) text += describe(r);
  return text;
}

RunRecord small_record(const std::string& run_id, std::int32_t attempt) {
  RunRecord r;
  r.run_id = run_id;
  r.attempt = attempt;
  r.experiment = "small";
  r.parameters = {{"batch", std::int64_t{32}}, {"mode", std::string("hydragen")}};
  r.metrics["decode_step.median"] = {0.5, "s", "median of a decode step"};
  r.samples.push_back({"decode_step", "s", false, {0.25, 0.75}, {0, 1}, {0, 0}, {1, 1}});
  r.config_text = "name: small\n";
  r.environment = "{}";
  return r;
}

}  // namespace hydrajob::test
