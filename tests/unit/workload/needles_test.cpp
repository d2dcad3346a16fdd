// What a run of the workload `needles` computes and records.
#include "workload/needles.hpp"

#include <random>
#include <span>

#include <gtest/gtest.h>

#include "unit/workload/watched.hpp"

namespace hydrajob {
namespace {

// A document of 12 tokens in three passes, two questions of 3 tokens in two.
PlannedRun needles_run(std::int64_t new_tokens) {
  PlannedRun run = generate_run(new_tokens);
  run.spec.workload = WorkloadKind::needles;
  run.spec.n_needles = 5;
  run.spec.prefix = 12;
  run.spec.tree = {{1, 12}};
  run.spec.suffix = 3;
  run.spec.prefill_chunk = 4;
  run.cost = cost_of(run.spec, {2e9, 3e9, 0, "test"});
  return run;
}

// How often something happened in each interval.
std::vector<std::int64_t> inside(const Events& events, const std::string& name) {
  std::vector<std::int64_t> counts;
  bool open = false;
  for (const std::string& event : events) {
    if (event == "mark") {
      open = !open;
      if (open) counts.push_back(0);
    } else if (open && event == name) {
      ++counts.back();
    }
  }
  return counts;
}

TEST(Needles, ReadTheDocumentOnceAndAskAgainAndAgain) {
  WatchedRank rank;
  rank.device.seconds.assign(100, 1.0);
  record_of(needles_run(3), rank.context());
  // Loading, the document, then of each of three iterations the questions and two steps.
  EXPECT_EQ(inside(rank.events, "attention"), (std::vector<std::int64_t>{0, 3, 2, 1, 1, 2, 1, 1, 2, 1, 1}));
  EXPECT_EQ(count(rank.events, "attention"), 3 + 3 * 4);
  EXPECT_EQ(count_inside(rank.events, "check"), 0);
}

TEST(Needles, RecordTheirPhases) {
  std::mt19937_64 random(test_seed() + 7);
  WatchedRank rank;
  rank.device.seconds = random_seconds(11, random);
  const std::vector<double>& s = rank.device.seconds;
  const PlannedRun run = needles_run(3);
  const RunRecord record = record_of(run, rank.context());
  EXPECT_EQ(samples_of(record, "load"), (std::vector<double>{s[0]}));
  EXPECT_EQ(samples_of(record, "prefix_prefill"), (std::vector<double>{s[1]}));
  EXPECT_EQ(samples_of(record, "unique_prefill"), (std::vector<double>{s[5], s[8]}));
  EXPECT_EQ(samples_of(record, "decode_step"), (std::vector<double>{s[6], s[7], s[9], s[10]}));
  const double total = (s[5] + s[6] + s[7] + s[8] + s[9] + s[10]) / 2;
  const auto metric = [&](const char* name) { return record.metrics.at(name).value; };
  EXPECT_DOUBLE_EQ(metric("total.median"), total);
  EXPECT_DOUBLE_EQ(metric("questions_per_s"), 2 / total);
  EXPECT_DOUBLE_EQ(metric("roofline_fraction"), run.cost.iteration.roofline_s / total);
  EXPECT_EQ(metric("roofline.prefix_prefill_s"), run.cost.document.roofline_s);
  EXPECT_EQ(metric("roofline.unique_prefill_s"), run.cost.prefill.roofline_s);
  EXPECT_EQ(metric("flops"), run.cost.iteration.flops);
}

TEST(Needles, OneTokenIsEnough) {
  OneRank rank;
  const RunRecord record = record_of(needles_run(1), rank.context());
  EXPECT_EQ(record.metrics.count("decode_tokens_per_s"), 0u);
  EXPECT_GT(record.metrics.at("total.median").value, 0);
  EXPECT_EQ(record.metrics.count("accuracy"), 1u);
}

// The tokens that answers are looked for in, against those of a plain engine; every second one is said to be
// right.
TEST(Needles, CountAnswersInWhatTheModelGenerates) {
  OneRank rank;
  PlannedRun run = needles_run(4);
  run.spec.batch = 7;
  run.spec.seed = test_seed() % 1000;
  auto task = std::make_shared<NeedleTask>(*needle_task(run.spec));
  std::vector<std::int32_t> looked_at;
  std::vector<std::size_t> asked;
  task->is_right = [&](std::size_t question, std::span<const TokenId> generated) {
    looked_at.insert(looked_at.end(), generated.begin(), generated.end());
    asked.push_back(question);
    return asked.size() % 2 == 1;
  };
  run.spec.needles = task;
  const RunRecord record = record_of(run, rank.context());
  EXPECT_EQ(asked, (std::vector<std::size_t>{0, 1, 2, 3, 4, 0, 1}));
  EXPECT_DOUBLE_EQ(record.metrics.at("accuracy").value, 4.0 / 7);
  EXPECT_EQ(record.metrics.count("accuracy.decile_0"), 1u);
  EXPECT_EQ(record.metrics.count("accuracy.decile_1"), 0u);  // five needles: every second decile

  const Batch batch = make_needle_batch(*task, run.spec);
  EXPECT_EQ(batch.nodes.front().tokens, task->document);
  ASSERT_EQ(batch.sequences.size(), asked.size());
  for (std::size_t i = 0; i < asked.size(); ++i) {
    EXPECT_EQ(batch.sequences[i].prompt, task->questions[asked[i]].tokens);
    EXPECT_EQ(batch.sequences[i].node, 0);
  }
  const auto source = make_random_weights(run.spec.architecture, run.spec.seed, 1);
  Engine engine(load_model(*source, run.spec.dtype, 4, rank.engine()), rank.engine());
  engine.prepare(batch, {});
  engine.prefill();
  for (int step = 1; step < 4; ++step) engine.decode();
  EXPECT_EQ(looked_at, engine.tokens());
}

TEST(Needles, OfTokenIdsAreTheSeeds) {
  RunSpec spec = needles_run(1).spec;
  EXPECT_EQ(needle_task(spec)->document.size(), 12u);
  EXPECT_EQ(needle_task(spec)->questions.front().tokens.size(), 3u);
  const auto document = needle_task(spec)->document;
  spec.batch = 9;
  EXPECT_EQ(needle_task(spec)->document, document) << "whatever is asked of it";
  spec.seed = 2;
  EXPECT_NE(needle_task(spec)->document, document);
}

}  // namespace
}  // namespace hydrajob
