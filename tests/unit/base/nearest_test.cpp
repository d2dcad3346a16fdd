#include "base/nearest.hpp"

#include <gtest/gtest.h>

namespace hydrajob {
namespace {

const std::vector<std::string> keys{"batch", "prefix", "suffix", "new_tokens", "mode"};

TEST(Nearest, FindsOneLetterWrongMissingExtraOrSwapped) {
  EXPECT_EQ(nearest("botch", keys), "batch");
  EXPECT_EQ(nearest("prefx", keys), "prefix");
  EXPECT_EQ(nearest("modes", keys), "mode");
  EXPECT_EQ(nearest("new_tokesn", keys), "new_tokens");
}

TEST(Nearest, ASwapIsOneStepAndSoBeatsTwo) {
  EXPECT_EQ(nearest("ab", {"cd", "ba"}), "ba");
}

TEST(Nearest, OfEqualOnesTheFirst) {
  EXPECT_EQ(nearest("cat", {"bat", "hat"}), "bat");
}

TEST(Nearest, NothingWhenNothingIsClose) {
  EXPECT_EQ(nearest("temperature", keys), std::nullopt);
  EXPECT_EQ(nearest("x", {}), std::nullopt);
}

}  // namespace
}  // namespace hydrajob
