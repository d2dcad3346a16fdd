// Records written to a file come back as they were.
#include <limits>
#include <random>

#include <gtest/gtest.h>

#include "base/error.hpp"
#include "store/merge.hpp"
#include "store/run_columns.hpp"
#include "store/store.hpp"
#include "store/store_file.hpp"
#include "unit/base/temporary_folder.hpp"
#include "unit/store/file_records.hpp"

namespace hydrajob {
namespace {

using test::as_read;
using test::describe;
using test::small_record;

class StoreFile : public ::testing::Test {
 protected:
  std::vector<RunRecord> written_and_read(const std::vector<RunRecord>& records) {
    write_store_file(path_, records);
    return read_store_file(path_);
  }

  test::TemporaryFolder folder_;
  std::filesystem::path path_ = folder_.path() / "x.h5";
};

TEST_F(StoreFile, gives_back_random_records) {
  for (int round = 0; round < 20; ++round) {
    const unsigned seed = std::random_device{}();
    SCOPED_TRACE("seed " + std::to_string(seed));
    test::RandomRecords random(seed);
    const auto records = random.records(static_cast<std::size_t>(round));
    ASSERT_EQ(describe(written_and_read(records)), describe(as_read(records)));
  }
}

TEST_F(StoreFile, gives_back_columns_large_enough_to_be_compressed) {
  RunRecord record = small_record();
  SampleSeries& series = record.samples[0];
  for (int i = 0; i < 200000; ++i) {
    series.value.push_back(1e-3 * i);
    series.rank.push_back(i % 8);
    series.iteration.push_back(i / 8);
    series.step.push_back(i);
  }
  EXPECT_EQ(describe(written_and_read({record})), describe({record}));
  constexpr std::uintmax_t all_but_run = 200000 * (8 + 3 * 4 + 1);  // bytes; `run` is all zeros
  EXPECT_LT(std::filesystem::file_size(path_), all_but_run);
}

TEST_F(StoreFile, has_the_columns_of_a_condition_where_a_device_told_it) {
  const auto names = [](const std::vector<RunRecord>& records) {
    std::vector<std::string> found;
    const StoreTables tables = to_tables(records);
    for (const Column& column : tables.samples.at("decode_step")) found.push_back(column.name);
    return found;
  };
  RunRecord telling = small_record(std::string(32, 'a'));
  const RunRecord silent = small_record(std::string(32, 'b'));
  const std::vector<std::string> without = names({silent});  // as the first stores had them
  EXPECT_EQ(without, (std::vector<std::string>{"value", "run", "rank", "iteration", "step", "warmup"}));
  telling.samples[0].condition = {{1755, 4, {}}, {1980, {}, {}}};
  std::vector<std::string> with = without;
  with.insert(with.end(), {"sm_clock_mhz", "throttle_reasons"});
  EXPECT_EQ(names({telling, silent}), with);
  const auto read = written_and_read({telling, silent});
  EXPECT_EQ(read[0].samples[0].condition, telling.samples[0].condition);
  EXPECT_TRUE(read[1].samples[0].condition.empty());
}

TEST_F(StoreFile, joins_the_columns_of_runs_that_have_different_ones) {
  RunRecord a = small_record(std::string(32, 'a')), b = small_record(std::string(32, 'b'));
  a.parameters = {{"only_a", std::int64_t{1}}, {"mixed", std::int64_t{2}}, {"words", std::int64_t{3}}};
  b.parameters = {{"only_b", 0.5}, {"mixed", 2.5}, {"words", std::string("many")}};
  a.metrics = {{"x", {1, "s", "x"}}};
  b.metrics = {{"y", {2, "B", "y"}}};
  const auto read = written_and_read({a, b});
  EXPECT_EQ(read[0].parameters,
            (Parameters{{"only_a", std::int64_t{1}}, {"mixed", 2.0}, {"words", std::string("3")}}));
  EXPECT_EQ(read[1].parameters,
            (Parameters{{"only_b", 0.5}, {"mixed", 2.5}, {"words", std::string("many")}}));
  EXPECT_EQ(read[0].metrics.count("y"), 0U);
  EXPECT_EQ(read[1].metrics.count("x"), 0U);
  EXPECT_EQ(read[1].metrics.at("y").unit, "B");
}

TEST_F(StoreFile, keeps_every_digit_of_integers_beside_reals) {
  RunRecord a = small_record(std::string(32, 'a')), b = small_record(std::string(32, 'b'));
  a.parameters = {{"seed", std::int64_t{9007199254740993}}};
  b.parameters = {{"seed", 0.5}};
  EXPECT_EQ(written_and_read({a, b})[0].parameters.at("seed"), Value(std::string("9007199254740993")));
}

TEST_F(StoreFile, keeps_empty_texts_and_extremes_where_no_run_lacks_them) {
  RunRecord record = small_record();
  record.parameters = {{"empty", std::string()}, {"least", INT64_MIN}, {"most", INT64_MAX}};
  EXPECT_EQ(written_and_read({record})[0].parameters, record.parameters);
}

TEST_F(StoreFile, takes_a_metric_that_is_no_number_as_missing) {
  RunRecord record = small_record();
  record.metrics["p99"] = {std::numeric_limits<double>::quiet_NaN(), "s", "no number"};
  EXPECT_EQ(written_and_read({record})[0].metrics.count("p99"), 0U);
}

TEST_F(StoreFile, makes_utf8_of_any_text) {
  RunRecord record = small_record();
  record.reason = std::string("a\0b\xff\xc3", 5) + "\u20ac\xed\xa0\x80";
  EXPECT_EQ(written_and_read({record})[0].reason, "a?b??\u20ac???");
}

TEST_F(StoreFile, tells_heads_without_reading_the_rest) {
  test::RandomRecords random(1);
  const auto records = random.records(5);
  write_store_file(path_, records);
  const auto heads = read_run_heads(path_);
  ASSERT_EQ(heads.size(), records.size());
  for (std::size_t i = 0; i < heads.size(); ++i) {
    EXPECT_EQ(heads[i].run_id, records[i].run_id);
    EXPECT_EQ(heads[i].attempt, records[i].attempt);
    EXPECT_EQ(heads[i].status, records[i].status);
  }
}

TEST_F(StoreFile, says_where_it_cannot_be_written) {
  const auto nowhere = folder_.path() / "no" / "x.h5";
  try {
    write_store_file(nowhere, {small_record()});
    FAIL() << "expected a StoreError";
  } catch (const StoreError& e) {
    EXPECT_EQ(std::string(e.what()).find(nowhere.string()), 0U) << e.what();
  }
}

TEST_F(StoreFile, prefers_ok_and_then_the_later_attempt) {
  const auto with = [](char id, int attempt, RunStatus status) {
    RunRecord r = small_record(std::string(32, id), attempt);
    r.status = status;
    return r;
  };
  const auto kept = preferred_attempts({with('a', 1, RunStatus::failed), with('b', 1, RunStatus::ok),
                                        with('a', 2, RunStatus::crashed), with('b', 2, RunStatus::failed),
                                        with('a', 1, RunStatus::failed)});
  ASSERT_EQ(kept.size(), 2U);
  EXPECT_EQ(kept[0].status, RunStatus::crashed);
  EXPECT_EQ(kept[1].attempt, 1);
}

TEST_F(StoreFile, merges_stores_with_their_segments) {
  const auto other = folder_.path() / "y.h5", target = folder_.path() / "z.h5";
  RunRecord failed = small_record(std::string(32, 'b'), 1);
  failed.status = RunStatus::failed;
  failed.reason = "why";
  write_store_file(path_, {small_record(std::string(32, 'a')), failed});
  commit_segment(path_, small_record(std::string(32, 'c')));
  write_store_file(other, {small_record(std::string(32, 'b'), 2)});
  EXPECT_EQ(merge_stores({path_, other}, target), 3U);
  const auto merged = read_store_file(target);
  ASSERT_EQ(merged.size(), 3U);
  EXPECT_EQ(merged[1].run_id, std::string(32, 'b'));
  EXPECT_EQ(merged[1].attempt, 2);
  EXPECT_THROW(merge_stores({path_}, target), StoreError);
  EXPECT_EQ(describe(read_store_file(target)), describe(merged));
}

TEST_F(StoreFile, a_merge_of_a_store_that_is_not_there_leaves_nothing) {
  write_store_file(path_, {small_record()});
  const auto target = folder_.path() / "z.h5";
  EXPECT_THROW(merge_stores({path_, folder_.path() / "none.h5"}, target), StoreError);
  EXPECT_FALSE(std::filesystem::exists(target));
}

}  // namespace
}  // namespace hydrajob
