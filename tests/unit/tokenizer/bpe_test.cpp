#include "tokenizer/bpe.hpp"

#include <array>
#include <cstdlib>
#include <map>
#include <random>

#include <gtest/gtest.h>

namespace hydrajob::tokenizer {
namespace {

constexpr TokenId a = 0, b = 1, c = 2, ab = 3, bc = 4, aa = 5;

Bpe of(const std::vector<std::array<TokenId, 3>>& merges) {
  MergeTable table(merges.size());
  std::uint32_t rank = 0;
  for (const auto& [left, right, merged] : merges) table.insert(left, right, {rank++, merged});
  return Bpe(std::move(table));
}

std::vector<TokenId> merged(Bpe& bpe, std::vector<TokenId> ids) {
  bpe.merge(ids);
  return ids;
}

TEST(Bpe, TheLowestRankMergesFirst) {
  Bpe bc_first = of({{b, c, bc}, {a, b, ab}});
  EXPECT_EQ(merged(bc_first, {a, b, c}), (std::vector<TokenId>{a, bc}));
  Bpe ab_first = of({{a, b, ab}, {b, c, bc}});
  EXPECT_EQ(merged(ab_first, {a, b, c}), (std::vector<TokenId>{ab, c}));
}

TEST(Bpe, TheLeftmostOfEqualsMergesFirst) {
  Bpe bpe = of({{a, a, aa}});
  EXPECT_EQ(merged(bpe, {a, a, a}), (std::vector<TokenId>{aa, a}));
  EXPECT_EQ(merged(bpe, {a, a, a, a, a}), (std::vector<TokenId>{aa, aa, a}));
}

TEST(Bpe, LeavesWhatDoesNotMerge) {
  Bpe bpe = of({{a, b, ab}});
  EXPECT_EQ(merged(bpe, {}), std::vector<TokenId>{});
  EXPECT_EQ(merged(bpe, {a}), std::vector<TokenId>{a});
  EXPECT_EQ(merged(bpe, {b, a, c}), (std::vector<TokenId>{b, a, c}));
}

TEST(Bpe, TheLastOfTwoMergesOfOnePairCounts) {
  Bpe bpe = of({{a, b, ab}, {b, c, bc}, {a, b, aa}});
  EXPECT_EQ(merged(bpe, {a, b, c}), (std::vector<TokenId>{a, bc}));
  EXPECT_EQ(merged(bpe, {a, b}), std::vector<TokenId>{aa});
}

// The definition, step by step.
std::vector<TokenId> merged_plainly(const std::map<std::pair<TokenId, TokenId>, Merge>& merges,
                                    std::vector<TokenId> ids) {
  for (;;) {
    std::size_t best = ids.size();
    for (std::size_t i = 0; i + 1 < ids.size(); ++i) {
      const auto here = merges.find({ids[i], ids[i + 1]});
      if (here == merges.end()) continue;
      if (best == ids.size() || here->second.rank < merges.at({ids[best], ids[best + 1]}).rank) best = i;
    }
    if (best == ids.size()) return ids;
    ids[best] = merges.at({ids[best], ids[best + 1]}).merged;
    ids.erase(ids.begin() + static_cast<std::ptrdiff_t>(best) + 1);
  }
}

TEST(Bpe, AgreesWithItsDefinition) {
  const char* given = std::getenv("HJ_TEST_SEED");
  const auto seed = given != nullptr ? std::strtoull(given, nullptr, 10) : std::random_device{}();
  SCOPED_TRACE("HJ_TEST_SEED=" + std::to_string(seed));
  std::mt19937_64 random(seed);
  for (int round = 0; round < 300; ++round) {
    std::map<std::pair<TokenId, TokenId>, Merge> plain;
    TokenId next = 4;
    for (std::uint32_t rank = 0; rank < 40; ++rank) {
      const auto any = [&] { return static_cast<TokenId>(random() % static_cast<std::uint64_t>(next)); };
      if (plain.emplace(std::pair(any(), any()), Merge{rank, next}).second) ++next;
    }
    MergeTable table(plain.size());
    for (const auto& [pair, merge] : plain) table.insert(pair.first, pair.second, merge);
    Bpe bpe(std::move(table));
    std::vector<TokenId> ids(random() % 60);
    for (TokenId& id : ids) id = static_cast<TokenId>(random() % 4);
    ASSERT_EQ(merged(bpe, ids), merged_plainly(plain, ids)) << "round " << round;
  }
}

}  // namespace
}  // namespace hydrajob::tokenizer
