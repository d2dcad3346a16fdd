#include "base/utf8.hpp"

#include <gtest/gtest.h>

namespace hydrajob {
namespace {

TEST(Utf8, KnowsCharactersOfEveryLength) {
  for (const char* text :
       {"a", "é", "中", "😀", "\x7f", "\xdf\xbf", "\xed\x9f\xbf", "\xee\x80\x80", "\xf4\x8f\xbf\xbf"}) {
    const std::string_view character(text);
    EXPECT_EQ(utf8_step(character).state, Utf8Step::State::whole) << character;
    EXPECT_EQ(utf8_step(character).length, character.size()) << character;
    EXPECT_TRUE(is_utf8(character));
    EXPECT_TRUE(is_character(character));
  }
}

TEST(Utf8, OneCharacterIsWholeAndAlone) {
  for (const char* text : {"", "ab", "é.", "\xe4\xb8", "\xff"}) EXPECT_FALSE(is_character(text)) << text;
}

TEST(Utf8, ReplacesEachPartOfACharacterOnce) {
  // What Python makes of them: bytes.decode(errors="replace").
  const std::vector<std::pair<std::string, std::string>> cases = {
      {"a\xff"
       "b",
       "a\ufffdb"},                  // no byte of UTF-8
      {"\xc0\x80", "\ufffd\ufffd"},  // longer than it has to be
      {"\xe2\x82"
       "a",
       "\ufffda"},                             // two bytes of three
      {"\xe2\x82", "\ufffd"},                  // … where the text ends
      {"\xed\xa0\x80", "\ufffd\ufffd\ufffd"},  // a surrogate
      {"\xf0\x9f\x98\xf0\x9f\x98\x80", "\ufffd😀"},
      {"\xf4\x90\x80\x80", "\ufffd\ufffd\ufffd\ufffd"},  // above U+10FFFF
      {"\x80", "\ufffd"},
      {"", ""},
  };
  for (const auto& [damaged, expected] : cases) EXPECT_EQ(replace_damage(damaged), expected);
}

TEST(Utf8, TellsWhatMayGoOnFromWhatIsLost) {
  EXPECT_EQ(utf8_step("\xf0\x9f\x98").state, Utf8Step::State::cut);
  EXPECT_EQ(utf8_step("\xf0\x9f"
                      "a")
                .state,
            Utf8Step::State::damaged);
  EXPECT_EQ(utf8_step("\xf0\x8f").state, Utf8Step::State::damaged);
  EXPECT_FALSE(is_utf8("\xf0\x9f\x98"));
}

}  // namespace
}  // namespace hydrajob
