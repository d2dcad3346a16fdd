// verify finds what is wrong with a store, and nothing where nothing is.
#include "store/verify.hpp"

#include <fstream>
#include <limits>

#include <fmt/format.h>
#include <fmt/ranges.h>
#include <gtest/gtest.h>

#include "store/journal.hpp"
#include "store/store.hpp"
#include "store/store_file.hpp"
#include "unit/base/temporary_folder.hpp"
#include "unit/store/file_records.hpp"

namespace hydrajob {
namespace {

using test::small_record;

class Verify : public ::testing::Test {
 protected:
  // Exactly one problem, and it says `what`.
  void expect_problem(const std::string& what) {
    const auto problems = verify_store(path_);
    ASSERT_EQ(problems.size(), 1U) << fmt::format("{}", fmt::join(problems, "\n"));
    EXPECT_NE(problems[0].find(what), std::string::npos) << problems[0];
  }

  void expect_problem_of(RunRecord record, const std::string& what) {
    write_store_file(path_, {small_record(std::string(32, 'b')), record});
    expect_problem(what);
  }

  test::TemporaryFolder folder_;
  std::filesystem::path path_ = folder_.path() / "x.h5";
};

TEST_F(Verify, a_whole_store_has_no_problem) {
  write_store_file(path_, {small_record(std::string(32, 'a')), small_record(std::string(32, 'b'))});
  commit_segment(path_, small_record(std::string(32, 'c')));
  Journal(store_folder(path_) / "journal-1.log").append({"finished", std::string(32, 'c'), 1, "ok"});
  EXPECT_TRUE(verify_store(path_).empty());
}

TEST_F(Verify, segments_alone_are_a_store) {
  commit_segment(path_, small_record());
  EXPECT_TRUE(verify_store(path_).empty());
}

TEST_F(Verify, a_store_that_is_not_there) {
  expect_problem("no such store");
}

TEST_F(Verify, a_truncated_file) {
  write_store_file(path_, {small_record()});
  std::filesystem::resize_file(path_, std::filesystem::file_size(path_) / 2);
  expect_problem(path_.string());
}

TEST_F(Verify, a_truncated_segment) {
  write_store_file(path_, {small_record(std::string(32, 'b'))});
  commit_segment(path_, small_record());
  const auto segment = segments_of(path_).at(0);
  std::filesystem::resize_file(segment, std::filesystem::file_size(segment) / 2);
  expect_problem(segment.string());
}

TEST_F(Verify, a_run_that_stands_there_twice) {
  write_store_file(path_, {small_record(), small_record()});
  expect_problem("more than once");
}

TEST_F(Verify, a_sample_that_is_no_number) {
  RunRecord record = small_record();
  record.samples[0].value[1] = std::numeric_limits<double>::infinity();
  expect_problem_of(record, "a sample of decode_step is not a finite number");
}

TEST_F(Verify, a_metric_that_is_not_finite) {
  RunRecord record = small_record();
  record.metrics["rate"] = {std::numeric_limits<double>::infinity(), "1/s", "a rate"};
  expect_problem_of(record, "rate is not a finite number");
}

TEST_F(Verify, what_a_device_does_not_tell_is_no_problem) {
  RunRecord record = small_record();
  record.samples[0].condition = {{1755, 4, 612.5}, {}};
  write_store_file(path_, {record, small_record(std::string(32, 'b'))});
  EXPECT_TRUE(verify_store(path_).empty());
}

TEST_F(Verify, conditions_that_no_device_has) {
  RunRecord record = small_record();
  record.samples[0].condition = {{1755, 4, 612.5}, {-1, 0, 0}};
  expect_problem_of(record, "a sample of decode_step: a clock of -1 MHz");
  record.samples[0].condition = {{1755, -4, 612.5}, {}};
  expect_problem_of(record, "a sample of decode_step: throttle reasons -4, expected a set of bits");
  record.samples[0].condition = {{}, {1, 1, std::numeric_limits<double>::infinity()}};
  expect_problem_of(record, "a sample of decode_step: a power of inf W");
}

TEST_F(Verify, an_ok_run_without_samples) {
  RunRecord record = small_record();
  record.samples.clear();
  expect_problem_of(record, "ok, but without a sample");
}

TEST_F(Verify, a_failed_run_without_a_reason) {
  RunRecord record = small_record();
  record.status = RunStatus::failed;
  expect_problem_of(record, "failed without a reason");
}

TEST_F(Verify, identities_that_none_has) {
  expect_problem_of(small_record("short"), "its id is not of 32 characters");
  expect_problem_of(small_record(std::string(32, 'a'), 0), "attempt 0, expected 1 or more");
}

TEST_F(Verify, a_finished_run_whose_result_is_gone) {
  commit_segment(path_, small_record());
  const std::string lost(32, 'f');
  Journal(store_folder(path_) / "journal-1.log").append({"finished", lost, 1, "ok"});
  expect_problem("run " + lost + " was finished, but its result is missing");
}

TEST_F(Verify, a_result_that_was_moved_aside) {
  commit_segment(path_, small_record());
  const auto damaged = store_folder(path_) / "damaged";
  std::filesystem::create_directory(damaged);
  std::ofstream(damaged / "x.h5") << "damaged";
  expect_problem("a damaged result, moved aside");
}

TEST_F(Verify, changes_nothing) {
  commit_segment(path_, small_record());
  const auto segment = segments_of(path_).at(0);
  std::filesystem::resize_file(segment, 100);
  const auto before = std::filesystem::last_write_time(segment);
  verify_store(path_);
  EXPECT_EQ(std::filesystem::last_write_time(segment), before);
  EXPECT_EQ(segments_of(path_).size(), 1U);
  EXPECT_FALSE(std::filesystem::exists(path_));
}

}  // namespace
}  // namespace hydrajob
