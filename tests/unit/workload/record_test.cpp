// The record of a run of the workload `generate` on a scripted clock, worked out here on its own.
#include <cmath>

#include <gtest/gtest.h>

#include "device/host_memory.hpp"
#include "unit/workload/watched.hpp"

namespace hydrajob {
namespace {

double middle(std::vector<double> values) {
  std::sort(values.begin(), values.end());
  const std::size_t n = values.size();
  return (values[(n - 1) / 2] + values[n / 2]) / 2;
}

struct Recorded {
  PlannedRun run;
  RunRecord record;
  Events events;
  std::vector<double> prefill, steps, decode, total;  // of measured iterations
};

// Intervals in the order of the run: loading, then prefill and steps of each iteration, warm-up first.
Recorded record_random(std::int64_t new_tokens, int warmup, int iterations, std::mt19937_64& random) {
  Recorded r;
  r.run = generate_run(new_tokens);
  r.run.spec.warmup = warmup;
  r.run.spec.iterations = r.run.spec.max_iterations = iterations;
  r.run.cost = cost_of(r.run.spec, {2e9, 3e9, 0, "test"});
  const auto each = static_cast<std::size_t>(new_tokens);
  WatchedRank rank;
  rank.device.seconds = random_seconds(1 + each * static_cast<std::size_t>(warmup + iterations), random);
  r.record = record_of(r.run, rank.context());
  r.events = rank.events;
  for (std::size_t at = 1 + each * static_cast<std::size_t>(warmup); at < rank.device.seconds.size();) {
    r.prefill.push_back(rank.device.seconds[at++]);
    r.decode.push_back(0);
    for (std::size_t step = 1; step < each; ++step) {
      r.decode.back() += rank.device.seconds[at];
      r.steps.push_back(rank.device.seconds[at++]);
    }
    r.total.push_back(r.prefill.back() + r.decode.back());
  }
  return r;
}

// One reading an iteration, when all of it is launched, of the interval in its middle.
TEST(Record, AnIterationsSamplesHaveItsCondition) {
  WatchedRank rank;
  PlannedRun run = generate_run(4);
  run.spec.warmup = 1;
  run.spec.iterations = run.spec.max_iterations = 2;
  rank.device.seconds.assign(1 + 3 * 4, 1.0);
  rank.device.conditions = {{1000, 0, 500}, {1001, 4, {}}, {1002, {}, 502}};
  const RunRecord record = record_of(run, rank.context());
  EXPECT_EQ(rank.device.read, (std::vector<std::size_t>{2, 6, 10}));  // 0 is the loading
  EXPECT_EQ(count_inside(rank.events, "condition"), 0);
  const SampleCondition first{1001, 4, {}}, second{1002, {}, 502};
  EXPECT_EQ(series_of(record, "prefill", true).condition, (std::vector<SampleCondition>{{1000, 0, 500}}));
  EXPECT_EQ(series_of(record, "prefill", false).condition, (std::vector<SampleCondition>{first, second}));
  EXPECT_EQ(series_of(record, "decode_step", false).condition,
            (std::vector<SampleCondition>{first, first, first, second, second, second}));
  for (const char* phase : {"load", "total"}) {
    EXPECT_FALSE(series_of(record, phase, false).value.empty()) << phase;
    EXPECT_TRUE(series_of(record, phase, false).condition.empty()) << phase;
  }
}

TEST(Record, OfADeviceThatDoesNotTellHasNone) {
  WatchedRank rank;
  PlannedRun run = generate_run(2);
  run.spec.warmup = 0;
  run.spec.iterations = run.spec.max_iterations = 1;
  rank.device.seconds.assign(3, 1.0);
  const RunRecord record = record_of(run, rank.context());
  for (const SampleSeries& series : record.samples) EXPECT_TRUE(series.condition.empty()) << series.phase;
}

void expect_near(const std::vector<double>& values, const std::vector<double>& expected) {
  ASSERT_EQ(values.size(), expected.size());
  for (std::size_t i = 0; i < values.size(); ++i) EXPECT_NEAR(values[i], expected[i], 1e-12);
}

TEST(Record, HoldsEverySampleOfEveryPhase) {
  std::mt19937_64 random(test_seed());
  for (int trial = 0; trial < 5; ++trial) {
    const std::int64_t new_tokens = 2 + static_cast<std::int64_t>(random() % 4);
    const int warmup = static_cast<int>(random() % 3);
    const int iterations = 1 + static_cast<int>(random() % 8);
    SCOPED_TRACE(testing::Message() << new_tokens << " tokens, " << warmup << "+" << iterations);
    const Recorded r = record_random(new_tokens, warmup, iterations, random);
    expect_near(series_of(r.record, "prefill", false).value, r.prefill);
    expect_near(series_of(r.record, "decode_step", false).value, r.steps);
    expect_near(series_of(r.record, "total", false).value, r.total);
    EXPECT_EQ(series_of(r.record, "load", false).value.size(), 1u);
    const auto n_warmup = static_cast<std::size_t>(warmup);
    EXPECT_EQ(series_of(r.record, "prefill", true).value.size(), n_warmup);
    EXPECT_EQ(series_of(r.record, "decode_step", true).value.size(),
              n_warmup * static_cast<std::size_t>(new_tokens - 1));
    EXPECT_EQ(series_of(r.record, "total", true).value.size(), n_warmup);
    EXPECT_EQ(r.record.samples.size(), warmup > 0 ? 7u : 4u);  // no other phase
    const SampleSeries steps = series_of(r.record, "decode_step", false);
    for (std::size_t i = 0; i < steps.step.size(); ++i) {
      EXPECT_EQ(steps.iteration[i], static_cast<std::int32_t>(i) / (new_tokens - 1));
      EXPECT_EQ(steps.step[i], 1 + static_cast<std::int32_t>(i) % (new_tokens - 1));
    }
  }
}

TEST(Record, SaysHowFastItWas) {
  std::mt19937_64 random(test_seed() + 1);
  const Recorded r = record_random(4, 1, 7, random);
  const auto batch = static_cast<double>(r.run.spec.batch);
  EXPECT_NEAR(metric(r.record, "prefill.median"), middle(r.prefill), 1e-12);
  EXPECT_NEAR(metric(r.record, "decode_step.median"), middle(r.steps), 1e-12);
  EXPECT_NEAR(metric(r.record, "decode.median"), middle(r.decode), 1e-12);
  EXPECT_NEAR(metric(r.record, "total.median"), middle(r.total), 1e-12);
  EXPECT_EQ(metric(r.record, "prefill.n"), 7);
  EXPECT_EQ(metric(r.record, "decode_step.n"), 21);
  EXPECT_EQ(metric(r.record, "decode.n"), 7);
  EXPECT_NEAR(metric(r.record, "decode_tokens_per_s"), batch * 3 / middle(r.decode), 1e-9);
  EXPECT_NEAR(metric(r.record, "paper_tokens_per_s"), batch * 4 / (middle(r.total) - middle(r.prefill)),
              1e-9);
}

TEST(Record, HoldsTheRooflineOfAStepAndWhatWasReached) {
  std::mt19937_64 random(test_seed() + 2);
  const Recorded r = record_random(3, 1, 6, random);
  const double step_s = r.run.cost.decode_step.roofline_s;
  EXPECT_GT(step_s, 0);
  EXPECT_EQ(metric(r.record, "roofline.decode_step_s"), step_s);
  EXPECT_EQ(metric(r.record, "roofline.prefill_s"), r.run.cost.prefill.roofline_s);
  EXPECT_NEAR(metric(r.record, "roofline_fraction"), step_s / middle(r.steps), 1e-15);
  EXPECT_EQ(metric(r.record, "predicted_s"), r.run.cost.predicted_s);
  EXPECT_EQ(metric(r.record, "memory_planned_bytes"), r.run.cost.memory.total());
}

// With the processor's kernels, whose tensors, packed weights and workspace are all counted by the host.
double held_bytes(const PlannedRun& run, RunRecord& record) {
  OneRank rank;
  rank.kernels = make_cpu_kernels(1);
  const std::size_t before = host_memory_used();
  const auto workload = make_workload(run, rank.context());
  workload->prepare();
  workload->connect();
  const std::size_t held = host_memory_used() - before;
  record = workload->measure();
  return static_cast<double>(held);
}

TEST(Record, SaysWhatMemoryIsHeld) {
  for (const Mode mode : {Mode::hydragen, Mode::noshared, Mode::noattention}) {
    for (const WorkloadKind kind : {WorkloadKind::generate, WorkloadKind::attention}) {
      PlannedRun run = generate_run(20);
      run.spec.workload = kind;
      run.spec.mode = mode;
      run.spec.batch = 8;
      run.spec.prefix = 30;
      run.spec.tree = {{1, 30}};
      run.spec.n_heads = run.spec.n_kv_heads = 2;
      run.spec.head_dim = 32;
      run.spec.l2 = L2State::warm;
      RunRecord record;
      const double held = held_bytes(run, record);
      EXPECT_NEAR(metric(record, "memory_used_bytes") / held, 1, 0.01)
          << to_string(kind) << ", " << to_string(mode);
    }
  }
}

TEST(Record, NoTimeCheckStandsInAnInterval) {
  std::mt19937_64 random(test_seed() + 3);
  const Recorded r = record_random(3, 1, 2, random);
  EXPECT_EQ(count(r.events, "check"), 3 * 3);
  EXPECT_EQ(count_inside(r.events, "check"), 0);
  EXPECT_EQ(count(r.events, "mark"), 2 * (1 + 3 * 3));
}

TEST(Record, NoAttentionNeverAttends) {
  for (const Mode mode : {Mode::noattention, Mode::hydragen}) {
    WatchedRank rank;
    rank.device.seconds.assign(100, 1.0);
    PlannedRun run = generate_run(3);
    run.spec.mode = mode;
    const RunRecord record = record_of(run, rank.context());
    EXPECT_EQ(count(rank.events, "attention") == 0, mode == Mode::noattention);
    EXPECT_EQ(metric(record, "decode_step.n"), 4);
  }
}

TEST(Record, ATimeLimitIsPassedOnAndTheModelStays) {
  std::mt19937_64 random(test_seed() + 4);
  WatchedRank rank;
  rank.device.seconds.assign(100, 1.0);
  rank.checks_until_limit = static_cast<std::int64_t>(random() % 9);  // 3 iterations of 3 checks
  EXPECT_THROW(record_of(generate_run(3), rank.context()), TimeLimit);
  EXPECT_EQ(count(rank.events, "check"), rank.checks_until_limit);
  rank.checks_until_limit = -1;
  rank.events.clear();
  const RunRecord again = record_of(generate_run(3), rank.context());
  EXPECT_EQ(metric(again, "load_s"), 0);
  EXPECT_EQ(metric(again, "total.n"), 2);
}

TEST(Record, IsOfAModeThatHasAnEngine) {
  OneRank rank;
  PlannedRun run = generate_run(2);
  run.spec.mode = Mode::vllm;
  EXPECT_THROW(make_workload(run, rank.context()), RunError);
}

}  // namespace
}  // namespace hydrajob
