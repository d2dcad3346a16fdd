// What a run of the workload `attention` does and records.
#include <cmath>

#include <gtest/gtest.h>

#include "unit/workload/watched.hpp"

namespace hydrajob {
namespace {

PlannedRun attention_run(Mode mode, std::mt19937_64& random) {
  PlannedRun run;
  RunSpec& s = run.spec;
  s.workload = WorkloadKind::attention;
  s.mode = mode;
  s.batch = 2 + static_cast<std::int64_t>(random() % 4);
  s.prefix = 5 + static_cast<std::int64_t>(random() % 30);
  s.tree = {{1, s.prefix}};
  s.suffix = static_cast<std::int64_t>(random() % 6);
  s.n_kv_heads = 1 + static_cast<std::int64_t>(random() % 2);
  s.n_heads = s.n_kv_heads * (1 + static_cast<std::int64_t>(random() % 3));
  s.head_dim = 8;
  s.dtype = every_dtype[random() % every_dtype.size()];
  s.l2 = L2State::warm;
  s.warmup = 2;
  s.iterations = s.max_iterations = 7;
  run.cost = cost_of(s, {2e9, 3e9, 0, "test"});
  return run;
}

class AttentionWorkload : public ::testing::Test {
 protected:
  std::mt19937_64 random_{test_seed()};
};

TEST_F(AttentionWorkload, EverySampleOfTheScriptedClockIsRecorded) {
  WatchedRank rank;
  rank.device.seconds = random_seconds(9, random_);
  const RunRecord record = record_of(attention_run(Mode::hydragen, random_), rank.context());
  const std::vector<double> warmup(rank.device.seconds.begin(), rank.device.seconds.begin() + 2);
  std::vector<double> measured(rank.device.seconds.begin() + 2, rank.device.seconds.end());
  ASSERT_EQ(record.samples.size(), 2u);  // no other phase
  EXPECT_EQ(series_of(record, "attention", true).value, warmup);
  EXPECT_EQ(series_of(record, "attention", true).iteration, (std::vector<std::int32_t>{0, 1}));
  EXPECT_EQ(series_of(record, "attention", false).value, measured);
  EXPECT_EQ(series_of(record, "attention", false).iteration,
            (std::vector<std::int32_t>{0, 1, 2, 3, 4, 5, 6}));
  EXPECT_EQ(series_of(record, "attention", false).step, std::vector<std::int32_t>(7));
  EXPECT_EQ(series_of(record, "attention", false).rank, std::vector<std::int32_t>(7));
  std::sort(measured.begin(), measured.end());
  EXPECT_EQ(metric(record, "attention.n"), 7);
  EXPECT_EQ(metric(record, "attention.median"), measured[3]);
  EXPECT_EQ(metric(record, "attention.min"), measured[0]);
  EXPECT_EQ(metric(record, "attention.max"), measured[6]);
  EXPECT_EQ(metric(record, "attention.ci_lo"), measured[0]);  // 7 samples: fewer than 1 of them, 1/128
  EXPECT_EQ(metric(record, "attention.ci_hi"), measured[6]);
  EXPECT_NEAR(metric(record, "attention.p99"), measured[5] + 0.94 * (measured[6] - measured[5]), 1e-12);
}

TEST_F(AttentionWorkload, EverySampleHasTheConditionOfItsTime) {
  WatchedRank rank;
  rank.device.seconds = random_seconds(9, random_);
  for (int i = 0; i < 9; ++i)
    rank.device.conditions.push_back({1000.0 + i, std::uint64_t{1} << i, 500.0 + i});
  const RunRecord record = record_of(attention_run(Mode::hydragen, random_), rank.context());
  EXPECT_EQ(rank.device.read, (std::vector<std::size_t>{0, 1, 2, 3, 4, 5, 6, 7, 8}));
  EXPECT_EQ(count_inside(rank.events, "condition"), 0);
  EXPECT_EQ(series_of(record, "attention", true).condition,
            (std::vector<SampleCondition>{{1000, 1, 500}, {1001, 2, 501}}));
  const auto measured = series_of(record, "attention", false).condition;
  ASSERT_EQ(measured.size(), 7u);
  EXPECT_EQ(measured.front(), (SampleCondition{1002, 4, 502}));
  EXPECT_EQ(measured.back(), (SampleCondition{1008, 256, 508}));
}

// Counted here from the shapes: 2 FLOPs a multiplication of q k and of p v; keys and values as the mode reads
// them, queries in, outputs out.
TEST_F(AttentionWorkload, TheRooflineIsThatOfItsShapes) {
  for (const Mode mode : {Mode::hydragen, Mode::paged, Mode::noshared, Mode::noattention}) {
    WatchedRank rank;
    rank.device.seconds = random_seconds(9, random_);
    const PlannedRun run = attention_run(mode, random_);
    const RunSpec& s = run.spec;
    const RunRecord record = record_of(run, rank.context());
    const auto element = static_cast<double>(size_of(s.dtype));
    const auto dim = static_cast<double>(s.head_dim);
    const double queries = 2 * static_cast<double>(s.batch * s.n_heads) * dim * element;
    const std::int64_t prefixes = mode == Mode::hydragen ? 1 : s.batch;
    const auto tokens = static_cast<double>(prefixes * s.prefix + s.batch * s.suffix);
    const bool attends = mode != Mode::noattention;
    const double cache = attends ? tokens * 2 * static_cast<double>(s.n_kv_heads) * dim * element : 0;
    const auto pairs = static_cast<double>(attends ? s.batch * s.n_heads * (s.prefix + s.suffix) : 0);
    const double roofline = std::max(4 * dim * pairs / 2e9, (cache + queries) / 3e9);
    EXPECT_DOUBLE_EQ(metric(record, "flops"), 4 * dim * pairs) << to_string(mode);
    EXPECT_DOUBLE_EQ(metric(record, "bytes"), cache + queries) << to_string(mode);
    EXPECT_NEAR(metric(record, "roofline.attention_s") / roofline, 1, 1e-12) << to_string(mode);
    EXPECT_NEAR(metric(record, "roofline_fraction") * metric(record, "attention.median") / roofline, 1,
                1e-12);
    EXPECT_NEAR(metric(record, "predicted_s") / (9 * roofline), 1, 1e-12) << to_string(mode);
    EXPECT_EQ(metric(record, "ceiling.matmul_flops_per_s"), 2e9);
    EXPECT_EQ(metric(record, "ceiling.memory_bytes_per_s"), 3e9);
  }
}

TEST_F(AttentionWorkload, EachModeAttendsToWhatItSays) {
  for (const Mode mode : {Mode::hydragen, Mode::paged, Mode::noshared}) {
    WatchedRank rank;
    rank.device.seconds = random_seconds(9, random_);
    const PlannedRun run = attention_run(mode, random_);
    const RunSpec& s = run.spec;
    const auto workload = make_workload(run, rank.context());
    workload->prepare();
    workload->connect();
    workload->measure();
    const AttentionArgs& args = rank.kernels.attended;
    const bool copies = mode == Mode::noshared;
    EXPECT_EQ(args.n_rows, s.batch);
    EXPECT_EQ(args.n_streams, s.batch);
    EXPECT_EQ(args.n_heads, s.n_heads);
    EXPECT_EQ(args.n_kv_heads, s.n_kv_heads);
    EXPECT_EQ(args.dtype, s.dtype);
    EXPECT_FLOAT_EQ(args.scale, 1 / std::sqrt(8.0F));
    for (std::int64_t i = 0; i < args.n_streams; ++i) {
      EXPECT_EQ(args.own_length[i], s.suffix + (copies ? s.prefix : 0)) << to_string(mode);
    }
    ASSERT_EQ(args.n_segments, copies ? 0 : 1) << to_string(mode);
    if (!copies) {
      EXPECT_EQ(args.segment_length[0], s.prefix);
      EXPECT_EQ(args.segment_row_end[0] - args.segment_row_begin[0], s.batch);
      EXPECT_EQ(args.share, mode == Mode::hydragen);
    }
    EXPECT_EQ(count_inside(rank.events, "attention"), 9);
    EXPECT_EQ(count(rank.events, "attention"), 9);
  }
}

TEST_F(AttentionWorkload, NoAttentionCopiesTheQueries) {
  WatchedRank rank;
  rank.device.seconds = random_seconds(9, random_);
  record_of(attention_run(Mode::noattention, random_), rank.context());
  EXPECT_EQ(count(rank.events, "attention"), 0);
  EXPECT_EQ(count_inside(rank.events, "copy_on_device"), 9);
}

TEST_F(AttentionWorkload, AColdCacheIsFlushedBeforeEachInterval) {
  WatchedRank rank;
  rank.device.seconds = random_seconds(9, random_);
  PlannedRun run = attention_run(Mode::hydragen, random_);
  run.spec.l2 = L2State::cold;
  run.spec.warmup = 1;
  run.spec.iterations = run.spec.max_iterations = 2;
  record_of(run, rank.context());
  EXPECT_GE(rank.kernels.row_max_bytes, std::int64_t{256} << 20);
  const Events iteration{"check", "row_max", "mark", "attention", "mark"};
  Events expected;
  for (int i = 0; i < 3; ++i) expected.insert(expected.end(), iteration.begin(), iteration.end());
  EXPECT_EQ(rank.events, expected);
}

TEST_F(AttentionWorkload, AWarmCacheIsLeftAlone) {
  WatchedRank rank;
  rank.device.seconds = random_seconds(9, random_);
  record_of(attention_run(Mode::hydragen, random_), rank.context());
  EXPECT_EQ(count(rank.events, "row_max"), 0);
}

TEST_F(AttentionWorkload, TheTimeLimitEndsItBetweenIterations) {
  WatchedRank rank;
  rank.device.seconds = random_seconds(9, random_);
  rank.checks_until_limit = static_cast<std::int64_t>(random_() % 9);
  EXPECT_THROW(record_of(attention_run(Mode::paged, random_), rank.context()), TimeLimit);
  EXPECT_EQ(count(rank.events, "attention"), rank.checks_until_limit);
  EXPECT_EQ(count_inside(rank.events, "check"), 0);
}

}  // namespace
}  // namespace hydrajob
