// The numbers that Python's module random gives: printed by CPython 3.11.
#include "needles/python_random.hpp"

#include <numeric>
#include <vector>

#include <gtest/gtest.h>

namespace hydrajob {
namespace {

std::vector<std::uint32_t> draws(PythonRandom& random, std::uint32_t n, int count) {
  std::vector<std::uint32_t> values;
  for (int i = 0; i < count; ++i) values.push_back(random.below(n));
  return values;
}

TEST(PythonRandom, DrawsAndShufflesAsPython) {
  PythonRandom random(9);
  EXPECT_EQ(draws(random, 8, 8), (std::vector<std::uint32_t>{7, 5, 4, 2, 2, 0, 5, 7}));
  EXPECT_EQ(draws(random, 1000003, 4), (std::vector<std::uint32_t>{941933, 634072, 84740, 350249}));
  std::vector<int> items(10);
  std::iota(items.begin(), items.end(), 0);
  random.shuffle(items);
  EXPECT_EQ(items, (std::vector<int>{7, 2, 9, 4, 3, 5, 1, 6, 0, 8}));
}

TEST(PythonRandom, SeedsOfMoreThan32BitsAndOfNone) {
  PythonRandom large((std::uint64_t{1} << 53) - 1);
  EXPECT_EQ(draws(large, 4294967295u, 3), (std::vector<std::uint32_t>{404802386, 2407860725u, 957238923}));
  PythonRandom zero(0);
  EXPECT_EQ(zero.below(1), 0u);
  EXPECT_EQ(draws(zero, 6, 5), (std::vector<std::uint32_t>{3, 0, 2, 4, 3}));
}

TEST(PythonRandom, GoesOnPastItsState) {
  PythonRandom random(9);
  draws(random, 1u << 31, 5000);
  EXPECT_EQ(random.below(1u << 31), 1632943439u);
}

}  // namespace
}  // namespace hydrajob
