#include "tokenizer/word_cache.hpp"

#include <gtest/gtest.h>

namespace hydrajob::tokenizer {
namespace {

using Ids = std::vector<TokenId>;

// -1 where it is not there.
Ids found(const WordCache& cache, std::string_view word) {
  const auto ids = cache.find(word);
  return ids ? Ids(ids->begin(), ids->end()) : Ids{-1};
}

TEST(WordCache, RemembersShortWords) {
  WordCache cache;
  cache.insert("ab", Ids{1, 2});
  cache.insert("", Ids{});
  cache.insert(std::string(1000, 'a'), Ids{3});
  EXPECT_EQ(found(cache, "ab"), (Ids{1, 2}));
  EXPECT_EQ(found(cache, ""), Ids{});
  EXPECT_EQ(found(cache, "a"), Ids{-1});
  EXPECT_EQ(found(cache, std::string(1000, 'a')), Ids{-1});
}

TEST(WordCache, KeepsAllWordsApart) {
  WordCache cache;
  for (int i = 0; i < 50'000; ++i) cache.insert(std::to_string(i), Ids{i, i + 1});
  for (int i = 0; i < 50'000; ++i) ASSERT_EQ(found(cache, std::to_string(i)), (Ids{i, i + 1}));
  EXPECT_EQ(found(cache, "50000"), Ids{-1});
}

TEST(WordCache, BeginsAnewRatherThanGrowForever) {
  WordCache cache;
  for (int i = 0; i < 1'000'000; ++i) cache.insert(std::to_string(i), Ids{i});
  EXPECT_EQ(found(cache, "0"), Ids{-1});
  EXPECT_EQ(found(cache, "999999"), Ids{999999});
}

}  // namespace
}  // namespace hydrajob::tokenizer
