// One job at a time: who gets the lease, when a lease is stale, and what is left behind.
#include "store/lease.hpp"

#include <array>
#include <chrono>
#include <csignal>
#include <fcntl.h>
#include <fstream>
#include <iterator>
#include <optional>
#include <sys/stat.h>
#include <sys/wait.h>
#include <thread>
#include <unistd.h>
#include <utility>

#include <fmt/format.h>
#include <gtest/gtest.h>

#include "base/digest.hpp"
#include "base/error.hpp"
#include "base/process.hpp"
#include "unit/base/temporary_folder.hpp"

namespace hydrajob {
namespace {

using namespace std::chrono_literals;

class LeaseTest : public ::testing::Test {
 protected:
  std::string text() const {
    std::ifstream in(path_);
    return {std::istreambuf_iterator<char>(in), {}};
  }

  void leave(const std::string& owner, std::chrono::seconds age = 0s) const {
    std::ofstream(path_) << owner;
    timespec times[2];
    ::clock_gettime(CLOCK_REALTIME, &times[1]);
    times[1].tv_sec -= age.count();
    times[0] = times[1];
    ASSERT_EQ(::utimensat(AT_FDCWD, path_.c_str(), times, 0), 0);
  }

  bool can_be_taken() const {
    try {
      const Lease lease(folder_.path(), 0);
      return true;
    } catch (const StoreError&) {
      return false;
    }
  }

  // A child that took the lease and is dead; it stays a zombie until it is waited for.
  pid_t die_with_it() const {
    const pid_t child = ::fork();
    if (child == 0) {
      const Lease lease(folder_.path(), 0);
      ::_exit(0);
    }
    siginfo_t how;
    EXPECT_EQ(::waitid(P_PID, static_cast<id_t>(child), &how, WEXITED | WNOWAIT), 0);
    EXPECT_TRUE(std::filesystem::exists(path_));
    return child;
  }

  std::size_t n_files() const {
    std::size_t n = 0;
    for ([[maybe_unused]] const auto& entry : std::filesystem::directory_iterator(folder_.path())) ++n;
    return n;
  }

  test::TemporaryFolder folder_;
  std::filesystem::path path_ = folder_.path() / "lease";
};

TEST_F(LeaseTest, the_second_is_told_who_holds_it) {
  const Lease lease(folder_.path(), 0);
  try {
    const Lease second(folder_.path(), 0);
    FAIL() << "taken twice";
  } catch (const StoreError& e) {
    const std::string message = e.what();
    EXPECT_NE(message.find(path_.string()), std::string::npos) << message;
    EXPECT_NE(message.find("process " + std::to_string(::getpid()) + " on " + host_name()), std::string::npos)
        << message;
  }
  EXPECT_TRUE(lease.held());
}

TEST_F(LeaseTest, is_given_back_and_leaves_nothing) {
  std::optional<Lease> lease(std::in_place, folder_.path(), 0);
  lease.reset();
  EXPECT_EQ(n_files(), 0U);
  EXPECT_TRUE(can_be_taken());
}

TEST_F(LeaseTest, waits_for_its_turn) {
  std::optional<Lease> lease(std::in_place, folder_.path(), 0);
  std::thread other([&] {
    std::this_thread::sleep_for(200ms);
    lease.reset();
  });
  EXPECT_NO_THROW(Lease(folder_.path(), 60));
  other.join();
}

TEST_F(LeaseTest, of_a_dead_process_is_taken_over) {
  const pid_t child = die_with_it();
  ::waitpid(child, nullptr, 0);
  EXPECT_TRUE(can_be_taken());
}

TEST_F(LeaseTest, of_a_dead_process_that_nobody_has_waited_for_too) {
  const pid_t child = die_with_it();
  EXPECT_TRUE(can_be_taken());
  ::waitpid(child, nullptr, 0);
}

TEST_F(LeaseTest, of_a_process_whose_number_another_has_now) {
  leave(process_space() + ' ' + std::to_string(::getpid()) + " 1\n");
  EXPECT_TRUE(can_be_taken());
}

TEST_F(LeaseTest, of_another_host_lives_as_long_as_it_is_touched) {
  leave("elsewhere 1 1\n", 50s);
  EXPECT_FALSE(can_be_taken());
  leave("elsewhere 1 1\n", 70s);
  EXPECT_TRUE(can_be_taken());
}

// A container may have this host's name and processes that cannot be seen from here.
TEST_F(LeaseTest, of_another_container_on_this_host_lives_too) {
  leave(host_name() + ".1 999999999 1\n", 50s);
  EXPECT_FALSE(can_be_taken());
  leave(host_name() + ".1 999999999 1\n", 70s);
  EXPECT_TRUE(can_be_taken());
}

TEST_F(LeaseTest, that_is_torn_is_taken_over_when_it_is_old) {
  leave("");
  EXPECT_FALSE(can_be_taken());
  leave("", 70s);
  EXPECT_TRUE(can_be_taken());
}

TEST_F(LeaseTest, is_put_back_where_it_is_gone_but_not_over_anothers) {
  const Lease lease(folder_.path(), 0);
  const std::string mine = text();
  std::filesystem::remove(path_);
  EXPECT_TRUE(lease.held());
  EXPECT_EQ(text(), mine);
  leave("elsewhere 1 1\n");
  EXPECT_FALSE(lease.held());
  EXPECT_EQ(text(), "elsewhere 1 1\n");
}

TEST_F(LeaseTest, of_another_is_not_taken_away_at_the_end) {
  std::optional<Lease> lease(std::in_place, folder_.path(), 0);
  leave("elsewhere 1 1\n");
  lease.reset();
  EXPECT_EQ(text(), "elsewhere 1 1\n");
}

TEST_F(LeaseTest, clears_what_dead_processes_left_beside_it) {
  const pid_t child = ::fork();
  if (child == 0) ::_exit(0);
  ::waitpid(child, nullptr, 0);
  const auto beside = [&](const char* what, pid_t pid) {
    return folder_.path() /
           (std::string("lease.") + what + '.' + process_space() + '.' + std::to_string(pid));
  };
  std::ofstream(beside("new", child)) << "x";
  std::ofstream(folder_.path() / "lease.claim.0") << process_space() << ' ' << child << " 1\n";
  std::ofstream(beside("new", ::getppid())) << "x";  // alive: perhaps about to take its turn
  EXPECT_TRUE(can_be_taken());
  EXPECT_FALSE(std::filesystem::exists(beside("new", child)));
  EXPECT_FALSE(std::filesystem::exists(folder_.path() / "lease.claim.0"));
  EXPECT_TRUE(std::filesystem::exists(beside("new", ::getppid())));
}

// Killed while it replaced a stale lease, with the claim on it in its hands.
TEST_F(LeaseTest, is_taken_although_one_died_taking_it) {
  const std::string stale = process_space() + ' ' + std::to_string(::getpid()) + " 1\n";
  const std::string dead = process_space() + ' ' + std::to_string(::getpid()) + " 2\n";
  leave(stale);
  const auto claim =
      folder_.path() / fmt::format("lease.claim.{:016x}", digest64(stale.data(), stale.size()));
  std::ofstream(claim) << dead;
  EXPECT_TRUE(can_be_taken());
  EXPECT_FALSE(std::filesystem::exists(claim));
}

// What a child of the test below ends with.
enum Outcome : int { refused, took_it, lost_it };

// Waits for the start, tries once, and holds what it got until the end is given.
[[noreturn]] void try_to_take(const std::filesystem::path& folder, int start, int end) {
  char byte;
  while (::read(start, &byte, 1) > 0) {
  }
  try {
    const Lease lease(folder, 0);
    while (::read(end, &byte, 1) > 0) {
    }
    ::_exit(lease.held() ? took_it : lost_it);
  } catch (const StoreError&) {
    ::_exit(refused);
  }
}

// Several processes try to take a stale lease at the same moment: one has it.
TEST_F(LeaseTest, one_of_many_takes_a_stale_one) {
  constexpr int n_processes = 8;
  for (int round = 0; round < 100; ++round) {
    leave(process_space() + ' ' + std::to_string(::getpid()) + " 1\n");
    std::array<int, 2> start{}, end{};
    ASSERT_EQ(::pipe(start.data()) + ::pipe(end.data()), 0);
    for (int i = 0; i < n_processes; ++i) {
      if (::fork() != 0) continue;
      ::close(start[1]);
      ::close(end[1]);
      try_to_take(folder_.path(), start[0], end[0]);
    }
    ::close(start[1]);
    std::array<int, 3> outcomes{};
    const auto give_up = std::chrono::steady_clock::now() + 5s;
    int left = n_processes;
    while (left > 0) {
      int status = 0;
      const bool all_refused_or_late = left == 1 || std::chrono::steady_clock::now() > give_up;
      if (all_refused_or_late) ::close(std::exchange(end[1], -1));
      if (::waitpid(-1, &status, all_refused_or_late ? 0 : WNOHANG) <= 0) {
        std::this_thread::sleep_for(1ms);
        continue;
      }
      --left;
      ASSERT_TRUE(WIFEXITED(status));
      ++outcomes.at(static_cast<std::size_t>(WEXITSTATUS(status)));
    }
    for (const int fd : {start[0], end[0]}) ::close(fd);
    EXPECT_EQ(outcomes[took_it], 1) << "round " << round;
    EXPECT_EQ(outcomes[lost_it], 0) << "round " << round;
    std::filesystem::remove(path_);
  }
}

}  // namespace
}  // namespace hydrajob
