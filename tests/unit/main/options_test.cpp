// The command line of a run: what it means, and what a wrong one is answered with.
#include "main/options.hpp"

#include <cstdlib>
#include <filesystem>
#include <fstream>

#include <gtest/gtest.h>

#include "base/error.hpp"

namespace hydrajob {
namespace {

using Strings = std::vector<std::string>;

class OptionsTest : public testing::Test {
 protected:
  void SetUp() override { std::ofstream(config_) << "name: a\n"; }
  void TearDown() override {
    std::filesystem::remove(config_);
    unsetenv("HYDRAJOB_MAX_FAILS");
    unsetenv("HYDRAJOB_DRY_RUN");
    unsetenv("HYDRAJOB_MODEL");
    unsetenv("OMP_NUM_THREADS");
  }

  RunOptions parse(Strings arguments) const {
    arguments.insert(arguments.begin(), config_);
    return parse_run_options(arguments);
  }
  // Of a variable of this value.
  std::string refusal_of(const char* variable, const char* value, const Strings& arguments = {}) const {
    setenv(variable, value, 1);
    Strings all = arguments;
    all.insert(all.begin(), config_);
    const std::string message = refusal(all);
    unsetenv(variable);
    return message;
  }
  std::string refusal(const Strings& arguments) const {
    try {
      parse_run_options(arguments);
    } catch (const UsageError& e) {
      return e.what();
    }
    return "accepted";
  }

  const std::string config_ = (std::filesystem::temp_directory_path() / "hj_options_test.yaml").string();
};

TEST_F(OptionsTest, AConfigurationAloneIsEnough) {
  const RunOptions options = parse({});
  EXPECT_EQ(options.config, config_);
  EXPECT_TRUE(options.set.empty());
  EXPECT_FALSE(options.dry_run || options.list || options.verbose || options.sweep.rerun_failed);
  EXPECT_EQ(options.ranks, 0);
  EXPECT_EQ(options.sweep.max_fails, 0);
  EXPECT_FALSE(options.log_dir);
  EXPECT_FALSE(options.sweep.hang_limit_s);
}

TEST_F(OptionsTest, ReadsEveryOption) {
  const RunOptions options = parse(
      {"--dry-run",   "--list",   "--ranks",      "8",         "--set",      "batch=[1, 2]",   "--set",
       "prefix=16",   "--only",   "batch=1",      "--exclude", "mode=paged", "--rerun-failed", "--store",
       "s.h5",        "--device", "cpu",          "--threads", "3",          "--timeout",      "1.5",
       "--max-fails", "4",        "--time-limit", "60",        "--log-dir",  "logs",           "--hang-limit",
       "90",          "-v"});
  EXPECT_TRUE(options.dry_run && options.list && options.verbose && options.sweep.rerun_failed);
  EXPECT_EQ(options.ranks, 8);
  Strings set;
  for (const Assignment& assignment : options.set) set.push_back(assignment.given_by + " " + assignment.text);
  EXPECT_EQ(set, (Strings{"--set batch=[1, 2]", "--set prefix=16", "--device device=cpu",
                          "--timeout timeout=1.5"}));
  EXPECT_EQ(options.sweep.only, Strings{"batch=1"});
  EXPECT_EQ(options.sweep.exclude, Strings{"mode=paged"});
  EXPECT_EQ(options.sweep.store, "s.h5");
  EXPECT_EQ(options.sweep.threads, 3);
  EXPECT_EQ(options.sweep.max_fails, 4);
  EXPECT_EQ(options.sweep.time_limit_s, 60);
  EXPECT_EQ(options.sweep.hang_limit_s, 90);
  EXPECT_EQ(options.log_dir, "logs");
  EXPECT_EQ(options.sweep.command_line.substr(0, 9), "hydrajob ");
}

TEST_F(OptionsTest, TheEnvironmentCountsWhereTheCommandLineSaysNothing) {
  setenv("HYDRAJOB_MAX_FAILS", "7", 1);
  setenv("HYDRAJOB_DRY_RUN", "1", 1);
  setenv("HYDRAJOB_MODEL", "a variable of a configuration", 1);
  EXPECT_EQ(parse({}).sweep.max_fails, 7);
  EXPECT_TRUE(parse({}).dry_run);
  EXPECT_EQ(parse({"--max-fails", "2"}).sweep.max_fails, 2);
}

TEST_F(OptionsTest, AWrongVariableIsNamedWithItsValueAndWhatWasExpected) {
  EXPECT_EQ(refusal_of("HYDRAJOB_MAX_FAILS", "abc"), "HYDRAJOB_MAX_FAILS 'abc': expected a whole number");
  EXPECT_EQ(refusal_of("HYDRAJOB_MAX_FAILS", "-1"), "HYDRAJOB_MAX_FAILS -1: expected more than 0");
  EXPECT_EQ(refusal_of("HYDRAJOB_MAX_FAILS", "abc", {"--max-fails", "1"}), "accepted");
  EXPECT_EQ(refusal_of("HYDRAJOB_RANKS", "two"), "HYDRAJOB_RANKS 'two': expected a whole number");
  EXPECT_EQ(refusal_of("HYDRAJOB_RANKS", "2").find("HYDRAJOB_RANKS 2: only with --dry-run"), 0U);
  EXPECT_EQ(refusal_of("HYDRAJOB_HANG_LIMIT", "-1"), "HYDRAJOB_HANG_LIMIT -1: expected 0 to 1e7");
  EXPECT_EQ(refusal_of("HYDRAJOB_HANG_LIMIT", "1e10").find("HYDRAJOB_HANG_LIMIT 1"), 0U);
  EXPECT_EQ(refusal_of("HYDRAJOB_HANG_LIMIT", "0"), "accepted");
  EXPECT_EQ(refusal_of("HYDRAJOB_TIMEOUT", "long"), "HYDRAJOB_TIMEOUT 'long': expected a number");
  EXPECT_EQ(refusal_of("HYDRAJOB_DRY_RUN", "perhaps"), "HYDRAJOB_DRY_RUN 'perhaps': expected 1 or 0");
  EXPECT_EQ(refusal_of("HYDRAJOB_ONLY", "bacth=1"),
            "HYDRAJOB_ONLY 'bacth=1': unknown parameter 'bacth': did you mean 'batch'?");
  setenv("HYDRAJOB_DEVICE", "gpu", 1);
  EXPECT_EQ(parse({}).set.front().given_by, "HYDRAJOB_DEVICE");
  unsetenv("HYDRAJOB_DEVICE");
}

TEST_F(OptionsTest, ThreadsHaveALimit) {
  EXPECT_EQ(parse({"--threads", "1024"}).sweep.threads, 1024);
  EXPECT_EQ(refusal({config_, "--threads", "1025"}), "--threads 1025: expected 1 to 1024");
  EXPECT_EQ(refusal_of("HYDRAJOB_THREADS", "100000"), "HYDRAJOB_THREADS 100000: expected 1 to 1024");
  EXPECT_EQ(refusal_of("OMP_NUM_THREADS", "100000"), "OMP_NUM_THREADS '100000': expected 1 to 1024 threads");
  EXPECT_EQ(refusal_of("OMP_NUM_THREADS", "99999999999999999999"),
            "OMP_NUM_THREADS '99999999999999999999': expected 1 to 1024 threads");
  EXPECT_EQ(refusal_of("OMP_NUM_THREADS", "4,2"), "accepted");
}

TEST_F(OptionsTest, WrongOnesAreNamedWithTheNearest) {
  EXPECT_EQ(refusal({config_, "--rerun-fail"}),
            "unknown option '--rerun-fail': did you mean '--rerun-failed'?; hydrajob --help lists them");
  EXPECT_EQ(refusal({config_, "--dtype", "f16"}),
            "unknown option '--dtype': a parameter of runs is set by --set dtype=VALUE");
  EXPECT_EQ(refusal({config_, "--batch=3"}),
            "unknown option '--batch': a parameter of runs is set by --set batch=VALUE");
  EXPECT_NE(refusal({config_, "--max", "3"}).find("unknown option"), std::string::npos);  // no abbreviations
  EXPECT_EQ(refusal({config_, "--threads", "many"}),
            "the argument ('many') for option '--threads' is invalid: expected a whole number");
  EXPECT_EQ(refusal({config_, "--time-limit", "1:00:00"}),
            "the argument ('1:00:00') for option '--time-limit' is invalid: expected a number");
  EXPECT_EQ(refusal({config_, "--store", ""}), "--store: empty, expected the path of a store");
  EXPECT_EQ(refusal({config_, "--threads", "0"}), "--threads 0: expected 1 to 1024");
  EXPECT_EQ(refusal({config_, "--timeout", "-1"}), "--timeout -1: expected more than 0");
}

TEST_F(OptionsTest, RanksToPlanForAreRefusedWhereRunsAreDone) {
  EXPECT_EQ(refusal({config_, "--ranks", "8"}),
            "--ranks 8: only with --dry-run or --list; to run on 8 ranks: mpirun -np 8 hydrajob …");
  EXPECT_EQ(parse({"--ranks", "8", "--list"}).ranks, 8);
  EXPECT_EQ(parse({"--ranks", "8", "--dry-run"}).ranks, 8);
}

TEST_F(OptionsTest, AMachineToPlanForIsRefusedWhereRunsAreDone) {
  EXPECT_EQ(refusal({config_, "--machine", "h200"}),
            "--machine h200: only with --dry-run or --list; runs are done on the machine that hydrajob is "
            "started on");
  EXPECT_EQ(refusal({config_, "--dry-run", "--machine", ""}),
            "--machine: empty, expected the name of a machine, or a path");
  EXPECT_EQ(parse({"--machine", "h200", "--list"}).machine, "h200");
  EXPECT_EQ(parse({"--machine", "m/x.yaml", "--dry-run"}).machine, "m/x.yaml");
  EXPECT_EQ(refusal_of("HYDRAJOB_MACHINE", "h200").find("HYDRAJOB_MACHINE h200: only with --dry-run"), 0U);
}

TEST_F(OptionsTest, OneConfigurationIsExpected) {
  EXPECT_NE(refusal({}).find("expected one configuration, got 0"), std::string::npos);
  EXPECT_EQ(refusal({"run", "a.yaml"}),
            "expected one configuration, got 2: run, a.yaml; hydrajob --help explains");
  EXPECT_EQ(refusal({"no_such.yaml"}), "no_such.yaml: no such file");
  EXPECT_NE(refusal({std::string(5000, 'a')}).find("aaa: File name too long"), std::string::npos);
  EXPECT_EQ(refusal({"stroe"}), "stroe: no such file; did you mean the command 'store'?");
}

TEST_F(OptionsTest, HelpNamesEveryOptionAndCode) {
  const std::string text = help_text();
  for (const char* part :
       {"--dry-run", "--time-limit", "HYDRAJOB_MAX_FAILS", "supervise", "make-model", "75"}) {
    EXPECT_NE(text.find(part), std::string::npos) << part;
  }
}

}  // namespace
}  // namespace hydrajob
