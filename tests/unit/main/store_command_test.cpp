// `hydrajob store …` as a user meets it: what it prints, what it refuses, and with which exit code.
#include <algorithm>
#include <fstream>
#include <iterator>
#include <regex>
#include <sstream>

#include <gtest/gtest.h>

#include "base/error.hpp"
#include "main/command_store.hpp"
#include "store/store.hpp"
#include "store/store_file.hpp"
#include "unit/base/temporary_folder.hpp"
#include "unit/store/file_records.hpp"

namespace hydrajob {
namespace {

using test::small_record;

RunRecord record(char id, const std::string& mode, std::int64_t batch) {
  RunRecord made = small_record(std::string(32, id));
  made.parameters["mode"] = mode;
  made.parameters["batch"] = batch;
  return made;
}

class StoreCommand : public ::testing::Test {
 protected:
  StoreCommand() {
    write_store_file(path_, {record('a', "hydragen", 16), record('b', "noshared", 16)});
    commit_segment(path_, record('c', "hydragen", 64));  // a sweep that has not ended yet
  }

  ExitCode run(std::vector<std::string> arguments) {
    ::testing::internal::CaptureStdout();
    ::testing::internal::CaptureStderr();
    struct Restore {
      StoreCommand& test;
      ~Restore() {
        test.out_ = ::testing::internal::GetCapturedStdout();
        test.error_ = ::testing::internal::GetCapturedStderr();
      }
    } const restore{*this};
    return run_store(arguments);
  }

  template <class Error>
  void expect_error(const std::vector<std::string>& arguments, const std::string& what) {
    try {
      run(arguments);
      ADD_FAILURE() << "accepted: " << what;
    } catch (const Error& e) {
      EXPECT_NE(std::string(e.what()).find(what), std::string::npos) << e.what();
    }
  }

  std::size_t lines() const { return static_cast<std::size_t>(std::count(out_.begin(), out_.end(), '\n')); }

  test::TemporaryFolder folder_;
  std::filesystem::path path_ = folder_.path() / "x.h5";
  std::string out_, error_;
};

TEST_F(StoreCommand, ls_has_a_line_a_run_and_the_parameters_that_differ) {
  EXPECT_EQ(run({"ls", path_.string()}), ExitCode::ok);
  EXPECT_EQ(lines(), 4U) << out_;
  EXPECT_NE(out_.find("batch"), std::string::npos) << out_;
  EXPECT_NE(out_.find("noshared"), std::string::npos) << out_;
}

TEST_F(StoreCommand, ls_tells_how_much_was_answered_rightly) {
  RunRecord needles = record('d', "hydragen", 128);
  needles.metrics["decode_tokens_per_s"] = {1234.5, "tokens/s", ""};
  needles.metrics["accuracy"] = {0.975, "1", ""};
  commit_segment(path_, needles);
  EXPECT_EQ(run({"ls", path_.string()}), ExitCode::ok);
  EXPECT_NE(out_.find("1234.5 tokens/s, 97.5 % right\n"), std::string::npos) << out_;
}

TEST_F(StoreCommand, ls_where_chooses) {
  EXPECT_EQ(run({"ls", path_.string(), "--where", "mode=hydragen,batch>=32"}), ExitCode::ok);
  EXPECT_EQ(lines(), 2U) << out_;
  EXPECT_NE(out_.find("cccccccccccc"), std::string::npos) << out_;
  expect_error<UsageError>({"ls", path_.string(), "--where", "bacth=1"}, "did you mean 'batch'");
}

TEST_F(StoreCommand, show_takes_the_beginning_of_an_id) {
  EXPECT_EQ(run({"show", path_.string(), "bbb"}), ExitCode::ok);
  EXPECT_NE(out_.find(std::string(32, 'b')), std::string::npos) << out_;
  EXPECT_NE(out_.find("noshared"), std::string::npos) << out_;
  expect_error<UsageError>({"show", path_.string(), "f"}, "no run's id begins with 'f'");
  expect_error<UsageError>({"show", path_.string(), ""}, "several");
}

TEST_F(StoreCommand, show_names_the_runs_of_its_job_that_ran_at_the_same_time) {
  const auto ran = [](char id, double started_s, double finished_s, const std::string& environment) {
    RunRecord made = record(id, "hydragen", 16);
    made.started_unix_s = started_s;
    made.finished_unix_s = finished_s;
    made.environment = environment;
    return made;
  };
  write_store_file(path_, {ran('a', 10, 20, "{}"), ran('b', 18, 30, "{}"), ran('d', 20, 25, "{}"),
                           ran('e', 15, 15, "{}"), ran('f', 10, 20, R"({"command":"another"})")});

  run({"show", path_.string(), "a"});

  EXPECT_TRUE(std::regex_search(out_, std::regex("\nran beside +b{8} +for 2\\.0 s\n"))) << out_;
  EXPECT_EQ(out_.find("ran beside", out_.find("ran beside") + 1), std::string::npos) << out_;
  run({"show", path_.string(), "e"});
  EXPECT_EQ(out_.find("ran beside"), std::string::npos) << out_;
}

TEST_F(StoreCommand, export_writes_csv_or_jsonl_to_a_file_or_to_the_output) {
  EXPECT_EQ(run({"export", path_.string()}), ExitCode::ok);
  EXPECT_EQ(lines(), 4U) << out_;
  EXPECT_NE(out_.find("run_id"), std::string::npos);
  const std::filesystem::path file = folder_.path() / "x.jsonl";
  EXPECT_EQ(run({"export", path_.string(), "--format", "jsonl", "-o", file.string()}), ExitCode::ok);
  std::ifstream in(file);
  EXPECT_EQ(std::count(std::istreambuf_iterator<char>(in), {}, '\n'), 3);
  expect_error<UsageError>({"export", path_.string(), "--format", "xml"}, "expected csv or jsonl");
  expect_error<StoreError>({"export", path_.string(), "-o", "/no/such/folder/x"}, "/no/such/folder/x");
}

TEST_F(StoreCommand, export_writes_over_no_store) {
  expect_error<UsageError>({"export", path_.string(), "-o", path_.string()}, "is an HDF5 file");
  EXPECT_EQ(run({"verify", path_.string()}), ExitCode::ok);
  expect_error<UsageError>({"export", path_.string(), "--sample"}, "--sample");  // not guessed
}

TEST_F(StoreCommand, verify_says_what_is_wrong_with_code_3) {
  EXPECT_EQ(run({"verify", path_.string()}), ExitCode::ok);
  EXPECT_NE(out_.find("whole, 3 runs"), std::string::npos) << out_;
  std::filesystem::resize_file(path_, std::filesystem::file_size(path_) - 100);
  EXPECT_EQ(run({"verify", path_.string()}), ExitCode::store);
  EXPECT_NE(error_.find(path_.string()), std::string::npos) << error_;
}

TEST_F(StoreCommand, merge_makes_one_file_of_all) {
  const std::filesystem::path other = folder_.path() / "y.h5", all = folder_.path() / "all.h5";
  write_store_file(other, {record('d', "paged", 16)});
  EXPECT_EQ(run({"merge", path_.string(), other.string(), "-o", all.string()}), ExitCode::ok);
  EXPECT_EQ(read_store_file(all).size(), 4U);
  expect_error<UsageError>({"merge", path_.string()}, "-o FILE is missing");
}

TEST_F(StoreCommand, what_is_no_store_or_no_command_is_refused) {
  expect_error<StoreError>({"ls", (folder_.path() / "none.h5").string()}, "none.h5");
  expect_error<UsageError>({"lst", path_.string()}, "did you mean 'ls'");
  expect_error<UsageError>({"ls"}, "0 arguments");
  expect_error<UsageError>({"ls", path_.string(), "--samples"}, "--samples");
  EXPECT_EQ(run({}), ExitCode::usage);
  EXPECT_EQ(run({"--help"}), ExitCode::ok);
}

}  // namespace
}  // namespace hydrajob
