// 500 times: a writer commits, journals and compacts as fast as it can, and is killed at a random moment.
// Nothing that it was promised is lost, and the next one goes on where it stopped.
#include <chrono>
#include <csignal>
#include <cstdio>
#include <memory>
#include <random>
#include <sys/wait.h>
#include <thread>

#include <gtest/gtest.h>

#include "store/survivors.hpp"
#include "unit/base/temporary_folder.hpp"

namespace hydrajob::test {
namespace {

constexpr int n_kills = 500;
constexpr int kills_a_store = 20;  // then a new one: looking at every run each time takes its time
constexpr int runs_between_compactions = 8;
constexpr int most_promises = 30;
constexpr int most_microseconds = 5000;

void write_without_end(const std::filesystem::path& path, const Promises& promises, unsigned seed) {
  std::mt19937 random(seed);
  Store store(path);
  for (int number = 0;; ++number) {
    if (random() % 16 == 0) {
      abandon_run(store, promises, number);
    } else if (do_run(store, path, promises, number) && random() % runs_between_compactions == 0) {
      store.compact();
    }
  }
}

class RandomKill {
 public:
  explicit RandomKill(unsigned seed) : random_(seed) { start_store(); }

  // One life of a writer. `fresh`: with a new store.
  void round(bool fresh) {
    if (fresh) start_store();
    DyingWriter writer([this, seed = random_()](const Promises& p) { write_without_end(path(), p, seed); });
    for (std::size_t n = below(most_promises); n > 0; --n) {
      if (const auto promise = writer.next()) survivors_->note(*promise);
    }
    std::this_thread::sleep_for(std::chrono::microseconds(below(most_microseconds)));
    writer.kill();
    while (const auto promise = writer.next()) survivors_->note(*promise);
    const int status = writer.wait();
    ASSERT_TRUE(WIFSIGNALED(status) && WTERMSIG(status) == SIGKILL) << "the writer ended by itself";
    survivors_->expect_kept();
    if (below(2) == 0) survivors_->expect_resumable();
  }

  std::size_t n_committed() const { return n_before_ + survivors_->n_committed(); }

 private:
  std::filesystem::path path() const { return folder_->path() / "x.h5"; }
  std::size_t below(int end) { return random_() % static_cast<unsigned>(end); }

  void start_store() {
    if (survivors_) n_before_ += survivors_->n_committed();
    folder_ = std::make_unique<TemporaryFolder>();
    survivors_ = std::make_unique<Survivors>(path());
  }

  std::mt19937 random_;
  std::unique_ptr<TemporaryFolder> folder_;
  std::unique_ptr<Survivors> survivors_;
  std::size_t n_before_ = 0;
};

TEST(RandomKill, no_promised_run_is_lost) {
  const unsigned seed = std::random_device{}();
  RandomKill test(seed);
  for (int kill = 0; kill < n_kills; ++kill) {
    SCOPED_TRACE("seed " + std::to_string(seed) + ", kill " + std::to_string(kill));
    test.round(kill > 0 && kill % kills_a_store == 0);
    if (::testing::Test::HasFailure()) break;
  }
  std::printf("seed %u: %d kills, %zu runs committed\n", seed, n_kills, test.n_committed());
}

}  // namespace
}  // namespace hydrajob::test
