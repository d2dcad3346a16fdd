#include "tokenizer/pattern.hpp"

#include <gtest/gtest.h>

#include "base/error.hpp"
#include "unit/config/failure.hpp"

namespace hydrajob::tokenizer {
namespace {

using Words = std::vector<std::string_view>;

constexpr const char* llama3 =
    R"((?i:'s|'t|'re|'ve|'m|'ll|'d)|[^\r\n\p{L}\p{N}]?\p{L}+|\p{N}{1,3}| ?[^\s\p{L}\p{N}]+[\r\n]*|\s*[\r\n]+|\s+(?!\S)|\s+)";

Words split(const char* pattern, std::string_view text) {
  Words words;
  Pattern(pattern, "here").split(text, words);
  return words;
}

TEST(Pattern, CutsTextAsLlama3Does) {
  EXPECT_EQ(split(llama3, "Don't stop"), (Words{"Don", "'t", " stop"}));
  EXPECT_EQ(split(llama3, "WE'LL, 12345 x"), (Words{"WE", "'LL", ",", " ", "123", "45", " x"}));
  EXPECT_EQ(split(llama3, "a   b\n\n  c"), (Words{"a", "  ", " b", "\n\n", " ", " c"}));
  EXPECT_EQ(split(llama3, "мир，世界"), (Words{"мир", "，世界"}));
  EXPECT_EQ(split(llama3, ""), Words{});
}

TEST(Pattern, KeepsWhatIsBetweenMatches) {
  EXPECT_EQ(split("b+", "abbcb"), (Words{"a", "bb", "c", "b"}));
  EXPECT_EQ(split("b*", "abbc"), (Words{"a", "bb", "c"}));
  EXPECT_EQ(split("x", "é"), Words{"é"});
}

// U+180E is white space to PCRE2's own \s, but not to Unicode, nor to what the patterns are written for.
TEST(Pattern, WhiteSpaceIsUnicodes) {
  EXPECT_EQ(split(R"(\s+)", "a\u180e\u3000b"), (Words{"a\u180e", "\u3000", "b"}));
  EXPECT_EQ(split(R"([^\s]+)", "a\u180e b"), (Words{"a\u180e", " ", "b"}));
  EXPECT_EQ(split(R"(\S)", "\u00a0a"), (Words{"\u00a0", "a"}));
}

TEST(Pattern, OnlyWhatMeansTheSameIsTaken) {
  EXPECT_EQ(to_pcre2(R"(\u00e9\x{1F600}\p{Han}\[[^\]a-z]\d)", ""), R"(\x{00e9}\x{1F600}\p{Han}\[[^\]a-z]\d)");
  for (const char* other :
       {"^a", "a$", R"(\h)", R"(\X)", R"(\w)", R"(\pL)", R"(\xff)", R"(\u12)", "[a&&b]", "[a[b]]", "[]a]",
        "[a", "a{2}+", "a{,2}", "(?m:a)", "(*UTF)a", "(?<n>a)", R"(\)"}) {
    EXPECT_THROW(to_pcre2(other, ""), UsageError) << other;
  }
}

std::string refusal(const char* pattern, std::string_view text) {
  return failure([&] { split(pattern, text); });
}

TEST(Pattern, SaysWhatIsWrongAndWhere) {
  EXPECT_EQ(refusal("a(b", ""), "here: 'a(b': at 3: missing closing parenthesis");
  EXPECT_EQ(refusal(R"(a\p{Nonsense})", ""),
            R"(here: 'a\p{Nonsense}': at 13: unknown property after \P or \p)");
  EXPECT_EQ(refusal(R"(a\Z)", ""), R"(here: 'a\Z': at 1: '\Z' is not supported)");
}

TEST(Pattern, ALongRunOfSpacesIsOneWord) {
  const std::string spaces(20'000'000, ' ');
  EXPECT_EQ(split(llama3, spaces), Words{spaces});
}

TEST(Pattern, GivesUpWhereItWouldTryEverything) {
  EXPECT_EQ(refusal("(a+)+(?=b)", std::string(40, 'a') + "c"), "here: match limit exceeded");
}

}  // namespace
}  // namespace hydrajob::tokenizer
