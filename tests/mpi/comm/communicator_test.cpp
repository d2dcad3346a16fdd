// Every operation of the MPI communicator, against what the definition says, at several numbers of ranks.
#include "comm/communicator.hpp"

#include <cmath>
#include <cstdlib>
#include <cstring>
#include <random>
#include <thread>

#include <gtest/gtest.h>

#include "base/bf16.hpp"
#include "base/f16.hpp"
#include "comm/threads.hpp"
#include "mpi/mpi_main.hpp"

namespace hydrajob {
namespace {

using test::world;

class HostStream final : public Stream {};
HostStream stream;

// Rank r's vector of the test `seed`: every rank can compute every rank's.
std::vector<float> values_of(int rank, std::size_t n, std::uint32_t seed) {
  std::mt19937 generator(seed * 1000 + static_cast<std::uint32_t>(rank));
  std::normal_distribution<float> normal;
  std::vector<float> values(n);
  for (float& v : values) v = normal(generator);
  return values;
}

// Whether all ranks hold the same bytes.
void expect_same_everywhere(const void* data, std::size_t bytes) {
  const std::string mine(static_cast<const char*>(data), bytes);
  for (const std::string& theirs : world().all_gather(mine)) EXPECT_TRUE(theirs == mine);
}

constexpr std::size_t sizes[] = {1, 7, 128, 4099, 300007};

TEST(Communicator, BroadcastReachesEveryRank) {
  for (int root = 0; root < world().size(); ++root) {
    std::vector<int> data(1000, world().rank() == root ? 17 + root : 0);
    world().broadcast(data.data(), data.size() * sizeof(int), root);
    EXPECT_EQ(data, std::vector<int>(1000, 17 + root));
  }
}

TEST(Communicator, ReducesNumbers) {
  const double mine = world().rank() + 0.5;
  const int n = world().size();
  EXPECT_EQ(world().all_reduce_max(mine), n - 0.5);
  EXPECT_EQ(world().all_reduce_min(mine), 0.5);
  EXPECT_EQ(world().all_reduce_sum(mine), n * n / 2.0);
}

TEST(Communicator, GathersRaggedParts) {
  const auto part = [](int rank) {
    return std::string(static_cast<std::size_t>(rank * rank), static_cast<char>('a' + rank));
  };
  const auto all = world().all_gather(part(world().rank()));
  ASSERT_EQ(all.size(), static_cast<std::size_t>(world().size()));
  for (int r = 0; r < world().size(); ++r) EXPECT_EQ(all[static_cast<std::size_t>(r)], part(r));
}

TEST(Communicator, SplitsByColourInRankOrder) {
  const int colour = world().rank() % 2;
  const auto half = world().split(colour);
  EXPECT_EQ(half->size(), (world().size() + 1 - colour) / 2);
  EXPECT_EQ(half->rank(), world().rank() / 2);
  EXPECT_EQ(half->all_reduce_sum(colour), colour * half->size());
  EXPECT_EQ(world().split_node()->size(), world().size());
}

TEST(Communicator, SumsF32LikeDoubleAndEverywhereTheSame) {
  for (const std::size_t n : sizes) {
    std::vector<double> expected(n, 0.0);
    for (int r = 0; r < world().size(); ++r) {
      const auto theirs = values_of(r, n, 1);
      for (std::size_t i = 0; i < n; ++i) expected[i] += theirs[i];
    }
    auto data = values_of(world().rank(), n, 1);
    world().all_reduce_sum(data.data(), static_cast<std::int64_t>(n), DType::f32, stream);
    for (std::size_t i = 0; i < n; ++i) ASSERT_NEAR(data[i], expected[i], 1e-5) << i << " of " << n;
    expect_same_everywhere(data.data(), n * sizeof(float));
  }
}

// bits: of a significand, the leading one too.
template <class T>
void expect_short_sums(DType dtype, int bits) {
  for (const std::size_t n : sizes) {
    std::vector<double> expected(n, 0.0), magnitude(n, 0.0);
    std::vector<T> data(n);
    for (int r = 0; r < world().size(); ++r) {
      const auto theirs = values_of(r, n, 2);
      for (std::size_t i = 0; i < n; ++i) {
        const T value(theirs[i]);
        expected[i] += static_cast<float>(value);
        magnitude[i] += std::fabs(static_cast<float>(value));
        if (r == world().rank()) data[i] = value;
      }
    }
    world().all_reduce_sum(data.data(), static_cast<std::int64_t>(n), dtype, stream);
    // Each of at most size - 1 additions rounds a partial sum of at most `magnitude`.
    for (std::size_t i = 0; i < n; ++i) {
      const double bound = (world().size() - 1) * magnitude[i] * std::ldexp(1.0, -bits) + 1e-30;
      ASSERT_NEAR(static_cast<float>(data[i]), expected[i], bound) << i << " of " << n;
    }
    expect_same_everywhere(data.data(), n * sizeof(T));
  }
}

TEST(Communicator, SumsBf16AndF16WithOneRoundingAnAdditionAndEverywhereTheSame) {
  expect_short_sums<Bf16>(DType::bf16, 8);
  expect_short_sums<F16>(DType::f16, 11);
}

// nan: the bits of a signalling one, which each rank adds its number to.
template <class T>
void expect_same_nan(DType dtype, int nan) {
  std::vector<T> data(64, T(1.0f));
  data[static_cast<std::size_t>(world().rank())].bits = static_cast<std::uint16_t>(nan + world().rank());
  data[63].bits = static_cast<std::uint16_t>((nan | 0x8000) + world().rank());
  world().all_reduce_sum(data.data(), 64, dtype, stream);
  EXPECT_TRUE(std::isnan(static_cast<float>(data[63])));
  EXPECT_EQ(static_cast<float>(data[62]), static_cast<float>(world().size()));
  if (world().size() > 1) expect_same_everywhere(data.data(), data.size() * sizeof(T));
}

TEST(Communicator, SumsOfNanAreTheSameNanEverywhere) {
  expect_same_nan<Bf16>(DType::bf16, 0x7f81);
  expect_same_nan<F16>(DType::f16, 0x7c01);
}

TEST(Communicator, SumsIntegersAndTakesMaximaOfVectors) {
  constexpr std::size_t n = 2048;
  std::vector<std::uint64_t> sums(n, (std::uint64_t{1} << 40) + static_cast<std::uint64_t>(world().rank()));
  world().all_reduce_sum(sums.data(), n, stream);
  const auto size = static_cast<std::uint64_t>(world().size());
  EXPECT_EQ(sums, std::vector<std::uint64_t>(n, (size << 40) + size * (size - 1) / 2));

  auto maxima = values_of(world().rank(), n, 3);
  auto expected = values_of(0, n, 3);
  for (int r = 1; r < world().size(); ++r) {
    const auto theirs = values_of(r, n, 3);
    for (std::size_t i = 0; i < n; ++i) expected[i] = std::max(expected[i], theirs[i]);
  }
  world().all_reduce_max(maxima.data(), n, stream);
  EXPECT_EQ(maxima, expected);
}

TEST(Communicator, GathersEqualPartsInRankOrder) {
  constexpr std::size_t n = 1001;
  const std::vector<std::int32_t> mine(n, world().rank());
  std::vector<std::int32_t> all(n * static_cast<std::size_t>(world().size()), -1);
  world().all_gather(mine.data(), all.data(), n * sizeof(std::int32_t), stream);
  for (std::size_t i = 0; i < all.size(); ++i) ASSERT_EQ(all[i], static_cast<std::int32_t>(i / n));
}

// More than INT_MAX bytes: MPI 3 counts do not hold them. Two ranks only, for the memory's sake.
TEST(Communicator, BroadcastsMoreThanAnIntCounts) {
  if (world().size() != 2) GTEST_SKIP() << "at two ranks only";
  std::vector<char> data((std::size_t{1} << 31) + 5, world().rank() == 0 ? 'x' : 'y');
  if (world().rank() == 0) data.back() = 'z';
  world().broadcast(data.data(), data.size(), 0);
  EXPECT_EQ(data.front(), 'x');
  EXPECT_EQ(data[std::size_t{1} << 30], 'x');
  EXPECT_EQ(data.back(), 'z');
}

TEST(Communicator, MessagesKeepTheirTagAndSender) {
  const int right = (world().rank() + 1) % world().size();
  const int left = (world().rank() + world().size() - 1) % world().size();
  world().send("second tag", right, 2);
  world().send(std::string("a\0b", 3), right, 1);
  EXPECT_EQ(world().receive(left, 1), std::string("a\0b", 3));
  EXPECT_FALSE(world().try_receive(7));
  EXPECT_EQ(world().receive(left, 2), "second tag");
  world().barrier();
}

// As the scheduler does: a thread on rank 0 answers every rank, rank 0 among them.
TEST(Communicator, AThreadAnswersEveryRank) {
  std::thread answers;
  if (world().rank() == 0) {
    answers = std::thread([] {
      for (int left = world().size() * 100; left > 0;) {
        if (auto message = world().try_receive(3)) {
          world().send(message->second + "!", message->first, 4);
          --left;
        }
      }
    });
  }
  for (int i = 0; i < 100; ++i) {
    const std::string question = std::to_string(world().rank()) + "/" + std::to_string(i);
    world().send(question, 0, 3);
    ASSERT_EQ(world().receive(0, 4), question + "!");
  }
  if (answers.joinable()) answers.join();
  world().barrier();
}

TEST(Communicator, RanksAgreeOnTheFirstError) {
  EXPECT_EQ(agree_on_error(world(), ""), "");
  const int first = world().size() / 2;
  const std::string mine = world().rank() >= first ? "rank " + std::to_string(world().rank()) : "";
  EXPECT_EQ(agree_on_error(world(), mine), "rank " + std::to_string(first));
  EXPECT_TRUE(all_true(world(), true));
  EXPECT_FALSE(all_true(world(), world().rank() != first));
}

TEST(Threads, RanksOfANodeShareItsCores) {
  unsetenv("OMP_NUM_THREADS");
  const auto node = world().split_node();
  EXPECT_EQ(threads_per_rank(*node, 3), 3);
  const int threads = threads_per_rank(*node, 0);
  EXPECT_GE(threads, 1);
  // The tests run unbound: all masks are one, and overlap.
  EXPECT_EQ(threads, std::max(1, cores_available() / world().size()));
  setenv("OMP_NUM_THREADS", "5,2", 1);
  EXPECT_EQ(threads_per_rank(*node, 0), 5);
  EXPECT_EQ(threads_per_rank(*node, 3), 3);
  unsetenv("OMP_NUM_THREADS");
}

}  // namespace
}  // namespace hydrajob

HJ_MPI_TEST_MAIN()
