#include "workload/metrics.hpp"

#include <algorithm>
#include <map>
#include <tuple>
#include <utility>

#include "timing/statistics.hpp"

namespace hydrajob {

void add_statistics(RunRecord& record, const std::string& name, const std::string& long_name,
                    const std::vector<double>& seconds) {
  if (seconds.empty()) return;
  const auto add = [&](const std::string& suffix, double value, const std::string& unit,
                       const std::string& what) {
    record.metrics[name + "." + suffix] = Metric{value, unit, long_name + ", " + what};
  };
  add("median", median(seconds), "s", "median");
  if (const auto interval = median_interval(seconds)) {
    add("ci_lo", interval->first, "s", "lower end of the median's 95 % interval");
    add("ci_hi", interval->second, "s", "upper end of the median's 95 % interval");
  }
  add("min", *std::min_element(seconds.begin(), seconds.end()), "s", "smallest sample");
  add("max", *std::max_element(seconds.begin(), seconds.end()), "s", "largest sample");
  add("p99", quantile(seconds, 0.99), "s", "99th percentile");
  add("n", static_cast<double>(seconds.size()), "1", "number of samples");
}

namespace {

SampleCondition to_stored(const DeviceCondition& condition) {
  SampleCondition stored;
  stored.sm_clock_mhz = condition.sm_clock_mhz;
  if (condition.throttle_reasons)
    stored.throttle_reasons = static_cast<std::int64_t>(*condition.throttle_reasons);
  stored.power_w = condition.power_w;
  return stored;
}

}  // namespace

void add_samples(RunRecord& record, const std::vector<PhaseSample>& samples) {
  std::map<std::pair<std::string, bool>, SampleSeries> series;
  for (const PhaseSample& sample : samples) {
    SampleSeries& s = series[{sample.phase, sample.warmup}];
    s.phase = sample.phase;
    s.warmup = sample.warmup;
    s.value.push_back(sample.seconds);
    s.rank.push_back(sample.rank);
    s.iteration.push_back(sample.iteration);
    s.step.push_back(sample.step);
    s.condition.push_back(to_stored(sample.condition));
  }
  for (auto& [key, s] : series) drop_untold(s);
  for (auto& [key, s] : series) record.samples.push_back(std::move(s));
}

void add_convergence(RunRecord& record, const std::vector<double>& seconds, double target) {
  const Convergence c = convergence(seconds, target);
  record.metrics["converged"] = {c.converged ? 1.0 : 0.0, "1",
                                 "whether the median's interval is within target_ci"};
  record.convergence = c.reason;
}

void add_plan(RunRecord& record, const PlannedRun& run, const Ceilings& ceilings) {
  const RunCost& cost = run.cost;
  auto& m = record.metrics;
  m["predicted_s"] = {cost.predicted_s, "s", "predicted time of the run at the roofline"};
  m["flops"] = {cost.iteration.flops, "FLOP", "floating-point operations of one iteration, one rank"};
  m["bytes"] = {cost.iteration.bytes, "B", "bytes moved by one iteration, one rank"};
  m["memory_planned_bytes"] = {cost.memory.total(), "B", "memory planned, one rank"};
  m["ceiling.matmul_flops_per_s"] = {ceilings.matmul_flops_per_s, "FLOP/s",
                                     "rate of one large product, one rank"};
  m["ceiling.memory_bytes_per_s"] = {ceilings.memory_bytes_per_s, "B/s", "copy bandwidth, one rank"};
}

void add_roofline(RunRecord& record, const std::string& name, double roofline_s, double median_s) {
  auto& m = record.metrics;
  m["roofline." + name + "_s"] = {roofline_s, "s", "time of one " + name + " at the machine's ceilings"};
  m["roofline_fraction"] = {median_s > 0 ? roofline_s / median_s : 0, "1",
                            "roofline time over the measured median"};
}

void add_decode_rate(RunRecord& record, const RunSpec& spec, const std::vector<double>& decode) {
  if (decode.empty()) return;
  const double tokens = static_cast<double>(spec.batch) * static_cast<double>(spec.new_tokens - 1);
  record.metrics["decode_tokens_per_s"] = {tokens / median(decode), "1/s",
                                           "batch (new_tokens - 1) / median of the sum of decode steps"};
}

void add_load(RunRecord& record, const std::vector<PhaseSample>& samples) {
  const auto load = slowest_rank(samples, "load", false);
  record.metrics["load_s"] = {load.empty() ? 0 : load.front(), "s",
                              "loading the weights; 0 where they were loaded"};
}

void add_memory_used(RunRecord& record, double bytes) {
  record.metrics["memory_used_bytes"] = {bytes, "B", "memory held, one rank"};
}

void add_totals(std::vector<PhaseSample>& samples, const std::string& first) {
  std::map<std::tuple<std::int32_t, bool, std::int32_t>, PhaseSample> totals;
  for (const PhaseSample& sample : samples) {
    if (sample.phase != first && sample.phase != "decode_step") continue;
    PhaseSample& total = totals[{sample.rank, !sample.warmup, sample.iteration}];
    // Its parts have the condition: once is enough to count by.
    total = {"total", sample.iteration, 0, sample.warmup, sample.rank, total.seconds + sample.seconds, {}};
  }
  for (auto& [key, total] : totals) samples.push_back(std::move(total));
}

std::vector<double> decode_per_iteration(const std::vector<PhaseSample>& samples) {
  std::map<std::pair<std::int32_t, std::int32_t>, double> slowest;
  for (const PhaseSample& sample : samples) {
    if (sample.phase != "decode_step" || sample.warmup) continue;
    double& s = slowest[{sample.iteration, sample.step}];
    s = std::max(s, sample.seconds);
  }
  std::map<std::int32_t, double> sums;
  for (const auto& [key, seconds] : slowest) sums[key.first] += seconds;
  std::vector<double> result;
  for (const auto& [iteration, sum] : sums) result.push_back(sum);
  return result;
}

}  // namespace hydrajob
