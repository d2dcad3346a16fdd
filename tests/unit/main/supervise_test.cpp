// The supervisor with commands of the shell that end in every way.
#include <filesystem>
#include <fstream>
#include <signal.h>
#include <string>
#include <unistd.h>
#include <vector>

#include <gtest/gtest.h>

#include "base/error.hpp"
#include "comm/launcher.hpp"
#include "main/command_supervise.hpp"

namespace hydrajob {
namespace {

namespace fs = std::filesystem;

class SuperviseTest : public testing::Test {
 protected:
  void SetUp() override { fs::create_directories(folder_); }
  void TearDown() override { fs::remove_all(folder_); }

  // Runs a script whose first lines count its starts in $n; returns the exit code.
  int run(const std::string& script, std::vector<std::string> options = {"--backoff", "0.01"}) const {
    const std::string counted =
        "cd " + folder_.string() + "; echo start >> starts; n=$(wc -l < starts); " + script;
    options.insert(options.end(), {"--", "sh", "-c", counted});
    return static_cast<int>(run_supervise(options));
  }
  int starts() const {
    std::ifstream file(folder_ / "starts");
    int n = 0;
    for (std::string line; std::getline(file, line);) ++n;
    return n;
  }

  const fs::path folder_ = fs::temp_directory_path() / ("hj_supervise_" + std::to_string(getpid()));
};

TEST_F(SuperviseTest, AnOrdinaryEndIsTheAnswer) {
  for (const int code : {0, 1, 2, 3}) {
    fs::remove(folder_ / "starts");
    EXPECT_EQ(run("exit " + std::to_string(code)), code);
    EXPECT_EQ(starts(), 1);
  }
}

// 75: no time is left, or told to stop. A restart would have no more of it.
TEST_F(SuperviseTest, InterruptedIsAnOrdinaryEnd) {
  EXPECT_EQ(run("exit 75"), 75);
  EXPECT_EQ(starts(), 1);
}

TEST_F(SuperviseTest, AJobThatAsksForItIsStartedAgain) {
  EXPECT_EQ(run("[ $n -lt 3 ] && exit 76; exit 1"), 1);
  EXPECT_EQ(starts(), 3);
}

TEST_F(SuperviseTest, TheCommandKnowsThatItIsSupervised) {
  EXPECT_EQ(lost_job_code(), ExitCode::interrupted);
  EXPECT_EQ(run(std::string("[ -n \"$") + supervised_variable + "\" ]"), 0);
}

TEST_F(SuperviseTest, CrashesAreStartedAgain) {
  EXPECT_EQ(run("[ $n = 1 ] && kill -SEGV $$; [ $n = 2 ] && exit 137; exit 0"), 0);
  EXPECT_EQ(starts(), 3);
}

TEST_F(SuperviseTest, GivesUp) {
  EXPECT_EQ(run("exit 76", {"--max-restarts", "2", "--backoff", "0"}), 75);
  EXPECT_EQ(starts(), 3);
}

// The script itself signals the supervisor, its parent.
TEST_F(SuperviseTest, SignalsGoOnAndEndIt) {
  EXPECT_EQ(run("trap 'echo got it > got; exit 75' USR2; kill -USR2 $PPID; while :; do sleep 0.02; done"),
            75);
  EXPECT_TRUE(fs::exists(folder_ / "got"));
  EXPECT_EQ(starts(), 1);
}

TEST_F(SuperviseTest, Usr1GoesOnAndEndsNothing) {
  EXPECT_EQ(run("[ $n = 2 ] && exit 0; trap 'exit 76' USR1; kill -USR1 $PPID; while :; do sleep 0.02; done"),
            0);
  EXPECT_EQ(starts(), 2);
}

TEST_F(SuperviseTest, HelpIsPrintedAndTheCommandsOwnIsItsOwn) {
  testing::internal::CaptureStdout();
  EXPECT_EQ(run_supervise({"--help"}), ExitCode::ok);
  EXPECT_NE(testing::internal::GetCapturedStdout().find("--max-restarts N"), std::string::npos);
  EXPECT_EQ(run_supervise({"--", "sh", "-c", "exit 3", "--help"}), ExitCode::store);
}

TEST_F(SuperviseTest, WrongCommandLinesAreRefused) {
  EXPECT_THROW(run_supervise({}), UsageError);
  EXPECT_THROW(run_supervise({"--"}), UsageError);
  EXPECT_THROW(run_supervise({"--max-restart", "1", "--", "true"}), UsageError);
  EXPECT_THROW(run_supervise({"--max-restarts", "x", "--", "true"}), UsageError);
  EXPECT_THROW(run_supervise({"--max-restarts", "1.5", "--", "true"}), UsageError);
  EXPECT_THROW(run_supervise({"--max-restarts", "99999999999", "--", "true"}), UsageError);
  EXPECT_THROW(run_supervise({"--max-restarts", "--", "true"}), UsageError);
}

TEST_F(SuperviseTest, ACommandThatIsNotThereIsUsage) {
  EXPECT_EQ(static_cast<int>(run_supervise({"--", "/no/such/program"})), static_cast<int>(ExitCode::usage));
}

TEST(Explain, SaysWhy) {
  EXPECT_EQ(explain(76 << 8), "lost a rank's work and asks to be started again");
  EXPECT_EQ(explain(3 << 8), "exit code 3");
  EXPECT_EQ(explain(SIGKILL), "died of signal 9 (Killed)");
  EXPECT_EQ(explain((128 + SIGSEGV) << 8), "died of signal 11 (Segmentation fault)");
}

}  // namespace
}  // namespace hydrajob
