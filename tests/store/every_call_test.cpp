// A job that continues a store dies at every call that changes a file, one after another, by a kill and by a
// loss of power. Nothing that it was promised is lost, and the next job finishes what it began.
#include <csignal>
#include <cstdio>
#include <fcntl.h>
#include <functional>
#include <string>
#include <sys/wait.h>
#include <unistd.h>

#include <gtest/gtest.h>

#include "store/stop_at_call.hpp"
#include "store/store_file.hpp"
#include "store/survivors.hpp"
#include "unit/base/temporary_folder.hpp"

namespace hydrajob::test {
namespace {

namespace fs = std::filesystem;

constexpr int more_calls_than_any = 1000000;

// What stands there before: two runs in the file, one of them failed, and one in a segment.
void prepare(const fs::path& path, const Promises& promises) {
  Store store(path);
  do_run(store, path, promises, 2);
  do_run(store, path, promises, 3);  // its first attempt fails
  store.compact();
  do_run(store, path, promises, 4);
}

// A job: the failed run again, new ones, one given up; compaction in between and at the end.
void job(const fs::path& path, const Promises& promises) {
  Store store(path);
  for (const int number : {2, 3, 4, 5}) do_run(store, path, promises, number);
  abandon_run(store, promises, 6);
  store.compact();
  do_run(store, path, promises, 7);
  store.compact();
}

class EveryCall : public ::testing::TestWithParam<Death> {
 protected:
  EveryCall() {
    run([&](const Promises& promises) { prepare(base_ / "x.h5", promises); }, survivors_);
  }

  // A child that does `work`; its promises are noted. waitpid's status.
  static int run(const std::function<void(const Promises&)>& work, Survivors& survivors) {
    DyingWriter writer(work);
    while (const auto promise = writer.next()) survivors.note(*promise);
    return writer.wait();
  }

  // The job on a copy of the prepared store; false when it had ended before its nth call.
  bool dies_at(int nth) {
    TemporaryFolder spare;
    fs::remove_all(path_.parent_path());
    fs::copy(base_, path_.parent_path(), fs::copy_options::recursive);
    Survivors survivors = survivors_;
    const int status = run(
        [&](const Promises& promises) {
          die_at_call(nth, GetParam(), spare.path());
          job(path_, promises);
        },
        survivors);
    if (WIFEXITED(status) && WEXITSTATUS(status) == 0) return false;
    EXPECT_TRUE(WIFSIGNALED(status) && WTERMSIG(status) == SIGKILL);
    survivors.expect_kept();
    finish(survivors);
    return true;
  }

  // The job once more, and one that does the run that was given up: its crash is remembered until then.
  void finish(Survivors& survivors) {
    const int status = run(
        [&](const Promises& promises) {
          job(path_, promises);
          Store store(path_);
          do_run(store, path_, promises, 6);
          store.compact();
        },
        survivors);
    EXPECT_TRUE(WIFEXITED(status) && WEXITSTATUS(status) == 0);
    survivors.expect_kept();
    survivors.expect_tidy();
    EXPECT_EQ(read_store(path_).size(), 6U);
  }

  TemporaryFolder folder_;
  fs::path base_ = folder_.path() / "base";
  fs::path path_ = folder_.path() / "copy" / "x.h5";
  Survivors survivors_{path_};
};

TEST_P(EveryCall, loses_nothing_and_leaves_nothing_behind) {
  int n = 1;
  for (; dies_at(n) && !HasFailure(); ++n) {
  }
  ASSERT_FALSE(HasFailure()) << "died at call " << n;
  ASSERT_GT(n, 40) << "the calls are not counted";
  std::printf("%d calls\n", n - 1);
}

std::string name_of(const ::testing::TestParamInfo<Death>& death) {
  switch (death.param) {
    case Death::killed:
      return "killed";
    case Death::torn:
      return "torn";
    case Death::data_lost:
      return "data_lost";
    case Death::all_lost:
      break;
  }
  return "all_lost";
}

INSTANTIATE_TEST_SUITE_P(Deaths, EveryCall,
                         ::testing::Values(Death::killed, Death::torn, Death::data_lost, Death::all_lost),
                         name_of);

// The test of the test: a job that does not sync loses what it was told.
TEST(Unsynced, is_lost_with_the_power) {
  TemporaryFolder folder, spare;
  const fs::path path = folder.path() / "file";
  const auto death_of = [&](Death death) {
    DyingWriter writer([&](const Promises&) {
      die_at_call(4, death, spare.path());
      const fs::path temporary = folder.path() / "temporary";
      const int fd = ::open(temporary.c_str(), O_WRONLY | O_CREAT, 0644);
      if (::write(fd, "text", 4) != 4) return;
      fs::rename(temporary, path);
      fs::remove(path);
    });
    while (writer.next()) {
    }
    return writer.wait();
  };
  EXPECT_TRUE(WIFSIGNALED(death_of(Death::killed)));
  EXPECT_EQ(fs::file_size(path), 4U);
  fs::remove(path);
  EXPECT_TRUE(WIFSIGNALED(death_of(Death::data_lost)));
  EXPECT_EQ(fs::file_size(path), 0U);
  fs::remove(path);
  EXPECT_TRUE(WIFSIGNALED(death_of(Death::all_lost)));
  EXPECT_TRUE(fs::is_empty(folder.path()));
}

}  // namespace
}  // namespace hydrajob::test
