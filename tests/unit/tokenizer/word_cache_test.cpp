#include "tokenizer/word_cache.hpp"

#include <gtest/gtest.h>

namespace hydrajob::tokenizer {
namespace {

TEST(WordCache, RemembersShortWords) {
  WordCache cache;
  cache.insert("ab", {1, 2});
  cache.insert("", {});
  cache.insert(std::string(1000, 'a'), {3});
  ASSERT_NE(cache.find("ab"), nullptr);
  EXPECT_EQ(*cache.find("ab"), (std::vector<TokenId>{1, 2}));
  EXPECT_NE(cache.find(""), nullptr);
  EXPECT_EQ(cache.find("a"), nullptr);
  EXPECT_EQ(cache.find(std::string(1000, 'a')), nullptr);
}

TEST(WordCache, BeginsAnewRatherThanGrowForever) {
  WordCache cache;
  for (int i = 0; i < 1'000'000; ++i) cache.insert(std::to_string(i), {i});
  EXPECT_EQ(cache.find("0"), nullptr);
  ASSERT_NE(cache.find("999999"), nullptr);
  EXPECT_EQ(*cache.find("999999"), std::vector<TokenId>{999999});
}

}  // namespace
}  // namespace hydrajob::tokenizer
