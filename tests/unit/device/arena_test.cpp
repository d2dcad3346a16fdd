// The arena against a plain model: a list of the pieces that are out.
#include "device/arena.hpp"

#include <algorithm>
#include <random>
#include <vector>

#include <gtest/gtest.h>

namespace hydrajob {
namespace {

constexpr std::size_t page = Arena::granule;

TEST(Arena, TakesTheFirstPlaceThatHoldsThePiece) {
  Arena arena(10 * page);
  const auto first = arena.take(2 * page), second = arena.take(3 * page), third = arena.take(1);
  EXPECT_EQ(first, 0u);
  EXPECT_EQ(second, 2 * page);
  EXPECT_EQ(third, 5 * page);
  arena.give_back(*first);
  EXPECT_EQ(arena.take(3 * page), 6 * page);
  EXPECT_EQ(arena.take(page), 0u);
}

TEST(Arena, NeighboursThatAreGivenBackAreOnePiece) {
  Arena arena(3 * page);
  std::vector<std::size_t> pieces;
  for (int i = 0; i < 3; ++i) pieces.push_back(*arena.take(page));
  EXPECT_EQ(arena.take(1), std::nullopt);
  arena.give_back(pieces[0]);
  arena.give_back(pieces[2]);
  EXPECT_EQ(arena.take(2 * page), std::nullopt);
  arena.give_back(pieces[1]);
  EXPECT_EQ(arena.take(3 * page), 0u);
}

TEST(Arena, NothingIsAPieceToo) {
  Arena arena(2 * page);
  const auto first = arena.take(0), second = arena.take(0);
  ASSERT_TRUE(first && second);
  EXPECT_NE(*first, *second);
  EXPECT_EQ(arena.take(0), std::nullopt);
}

TEST(Arena, HoldsNoMoreThanItsBlock) {
  EXPECT_EQ(Arena().take(0), std::nullopt);
  EXPECT_EQ(Arena(page - 1).take(1), std::nullopt);
  Arena arena(page + 1);
  EXPECT_EQ(arena.bytes(), page);
  EXPECT_EQ(arena.take(page + 1), std::nullopt);
  EXPECT_EQ(arena.take(SIZE_MAX), std::nullopt);
  EXPECT_EQ(arena.take(page), 0u);
}

struct Piece {
  std::size_t begin;
  std::size_t end;
};

std::size_t rounded(std::size_t bytes) {
  return std::max<std::size_t>(1, (bytes + page - 1) / page) * page;
}

// The longest run between pieces that are out.
std::size_t longest_gap(std::vector<Piece> out, std::size_t bytes) {
  std::sort(out.begin(), out.end(), [](const Piece& a, const Piece& b) { return a.begin < b.begin; });
  std::size_t longest = 0, end = 0;
  for (const Piece& piece : out) {
    longest = std::max(longest, piece.begin - end);
    end = piece.end;
  }
  return std::max(longest, bytes - end);
}

class RandomUse {
 public:
  explicit RandomUse(unsigned seed) : random_(seed), arena_(from(1, 300) * page) {}

  void step() {
    if (!out_.empty() && from(0, 2) == 0) {
      give_back(from(0, out_.size() - 1));
    } else {
      take(from(0, 3) == 0 ? from(0, arena_.bytes()) : from(0, 10 * page));
    }
    std::size_t taken = 0;
    for (const Piece& piece : out_) taken += piece.end - piece.begin;
    ASSERT_EQ(arena_.taken(), taken);
    ASSERT_EQ(arena_.largest_free(), longest_gap(out_, arena_.bytes()));
  }

  void give_all_back() {
    while (!out_.empty()) give_back(from(0, out_.size() - 1));
    EXPECT_EQ(arena_.taken(), 0u);
    EXPECT_EQ(arena_.take(arena_.bytes()), 0u);
  }

 private:
  std::size_t from(std::size_t low, std::size_t high) {
    return std::uniform_int_distribution<std::size_t>(low, high)(random_);
  }

  void take(std::size_t bytes) {
    const std::size_t gap = longest_gap(out_, arena_.bytes());
    const auto begin = arena_.take(bytes);
    ASSERT_EQ(begin.has_value(), rounded(bytes) <= gap);
    if (!begin) return;
    const Piece piece{*begin, *begin + rounded(bytes)};
    ASSERT_EQ(piece.begin % page, 0u);
    ASSERT_LE(piece.end, arena_.bytes());
    for (const Piece& other : out_) ASSERT_TRUE(piece.end <= other.begin || other.end <= piece.begin);
    out_.push_back(piece);
  }

  void give_back(std::size_t index) {
    arena_.give_back(out_[index].begin);
    out_.erase(out_.begin() + static_cast<std::ptrdiff_t>(index));
  }

  std::mt19937 random_;
  Arena arena_;
  std::vector<Piece> out_;
};

TEST(Arena, IsThePlainModel) {
  const unsigned seed = std::random_device{}();
  SCOPED_TRACE("seed " + std::to_string(seed));
  for (unsigned i = 0; i < 100; ++i) {
    RandomUse use(seed + i);
    for (int step = 0; step < 300 && !::testing::Test::HasFatalFailure(); ++step) use.step();
    use.give_all_back();
  }
}

}  // namespace
}  // namespace hydrajob
