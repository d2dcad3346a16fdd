// What ends a completion, and what of its tokens and text stays.
#include "completions/completion.hpp"

#include <gtest/gtest.h>

using namespace hydrajob;

namespace {

// Ids 0 to 127 are their ASCII characters, 128 and 129 the halves of "é", 130 has no text.
DecodeTable table() {
  DecodeTable table;
  for (int c = 0; c < 128; ++c)
    table.tokens.push_back({TokenText::Kind::bytes, std::string(1, static_cast<char>(c))});
  table.tokens.push_back({TokenText::Kind::bytes, "\xc3"});
  table.tokens.push_back({TokenText::Kind::bytes, "\xa9"});
  table.tokens.push_back({TokenText::Kind::left_out, ""});
  return table;
}

constexpr TokenId first_half = 128, second_half = 129, eos = 130;

Completion grown(const EndRules& rules, const std::vector<TokenId>& ids, bool expect_finished = true) {
  const DecodeTable decode = table();
  GrowingCompletion growing(7, rules, DecodeStream(decode), static_cast<TokenId>(decode.tokens.size()));
  for (const TokenId id : ids) growing.take(id);
  EXPECT_EQ(growing.is_finished(), expect_finished);
  EXPECT_EQ(growing.completion().number, 7);
  return growing.completion();
}

std::vector<TokenId> ids(const std::string& text) {
  return {text.begin(), text.end()};
}

}  // namespace

TEST(GrowingCompletion, EndsAtAnyEos) {
  const EndRules rules{{eos, 'z'}, {}, 10};
  std::vector<TokenId> drawn = ids("abc");
  drawn.push_back(eos);
  drawn.push_back('d');
  const Completion c = grown(rules, drawn);
  EXPECT_EQ(c.text, "abc");
  EXPECT_EQ(c.tokens, ids("abc"));
  EXPECT_EQ(c.reason, FinishReason::eos);
  EXPECT_EQ(grown(rules, ids("z")).text, "");
}

TEST(GrowingCompletion, EndsAtItsLength) {
  const Completion c = grown({{eos}, {}, 3}, ids("abcdef"));
  EXPECT_EQ(c.tokens, ids("abc"));
  EXPECT_EQ(c.reason, FinishReason::length);
  grown({{eos}, {}, 3}, ids("ab"), false);
}

TEST(GrowingCompletion, StopsBeforeTheFirstOfItsStopTexts) {
  const Completion c = grown({{eos}, {"xyz", "cd", "d"}, 20}, ids("abxycdxyz"));
  EXPECT_EQ(c.text, "abxy");  // "cd" and "d" are complete with the same token
  EXPECT_EQ(c.tokens, ids("abxycd"));
  EXPECT_EQ(c.reason, FinishReason::stop);
}

TEST(GrowingCompletion, AStopTextMayBeginWithTheText) {
  EXPECT_EQ(grown({{}, {"ab"}, 20}, ids("abc")).text, "");
}

TEST(GrowingCompletion, AStopTextAtTheLastTokenCounts) {
  EXPECT_EQ(grown({{}, {"c"}, 3}, ids("abc")).reason, FinishReason::stop);
}

TEST(GrowingCompletion, HalfACharacterBecomesASign) {
  EXPECT_EQ(grown({{}, {}, 2}, {first_half, second_half}).text, "é");
  EXPECT_EQ(grown({{}, {}, 2}, {'a', first_half}).text, "a\xef\xbf\xbd");
  EXPECT_EQ(grown({{}, {"é"}, 9}, {'a', first_half, second_half}).text, "a");
}

TEST(GrowingCompletion, IdsWithoutTextAreKept) {
  const Completion c = grown({{}, {}, 3}, {'a', 5000, 'b'});
  EXPECT_EQ(c.text, "ab");
  EXPECT_EQ(c.tokens, (std::vector<TokenId>{'a', 5000, 'b'}));
}
