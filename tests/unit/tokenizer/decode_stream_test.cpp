#include "tokenizer/decode_stream.hpp"

#include <gtest/gtest.h>

#include "base/error.hpp"

namespace hydrajob {
namespace {

using Kind = TokenText::Kind;
using Damage = DecodeTable::Damage;
using Strip = DecodeTable::Strip;

// Ids: 0 left out, 1 " a", 2 to 5 the bytes of 😀, 6 a space as a byte, 7 " ".
DecodeTable table(Damage damage, Strip strip_from = Strip::characters, int strip = 0) {
  DecodeTable made;
  made.tokens = {{Kind::left_out, ""},  {Kind::text, " a"},    {Kind::bytes, "\xf0"}, {Kind::bytes, "\x9f"},
                 {Kind::bytes, "\x98"}, {Kind::bytes, "\x80"}, {Kind::bytes, " "},    {Kind::text, " "}};
  made.damage = damage;
  made.strip_from = strip_from;
  made.strip = strip;
  return made;
}

// What each token printed, and the end.
std::vector<std::string> printed(const DecodeTable& of, const std::vector<TokenId>& ids) {
  DecodeStream stream(of);
  std::vector<std::string> parts;
  for (const TokenId id : ids) parts.push_back(stream.next(id));
  parts.push_back(stream.finish());
  return parts;
}

using Parts = std::vector<std::string>;

TEST(DecodeStream, PrintsACharacterWithItsLastByte) {
  for (const Damage damage : {Damage::part, Damage::byte}) {
    EXPECT_EQ(printed(table(damage), {1, 2, 3, 4, 5, 1}), (Parts{" a", "", "", "", "😀", " a", ""}));
    EXPECT_EQ(printed(table(damage), {0, 2, 3, 4, 5}), (Parts{"", "", "", "", "😀", ""}));
  }
}

TEST(DecodeStream, ARunOfBytesIsPrintedWhenItEnds) {
  EXPECT_EQ(printed(table(Damage::run), {2, 3, 4, 5, 1}), (Parts{"", "", "", "", "😀 a", ""}));
  EXPECT_EQ(printed(table(Damage::run), {2, 3, 4, 5}), (Parts{"", "", "", "", "😀"}));
  EXPECT_EQ(printed(table(Damage::run), {2, 3, 4, 5, 2, 1}),
            (Parts{"", "", "", "", "", "\ufffd\ufffd\ufffd\ufffd\ufffd a", ""}));
}

TEST(DecodeStream, WhatIsLeftOutEndsACharacterToSentencepieceAlone) {
  EXPECT_EQ(printed(table(Damage::part), {2, 3, 0, 4, 5}), (Parts{"", "", "", "", "😀", ""}));
  EXPECT_EQ(printed(table(Damage::run), {2, 3, 0, 4, 5}), (Parts{"", "", "", "", "", "😀"}));
  const std::string one = "\ufffd";
  EXPECT_EQ(printed(table(Damage::byte), {2, 3, 0, 4, 5}), (Parts{"", "", one + one, one, one, ""}));
}

TEST(DecodeStream, DamageIsReplacedAsTheTokenizerDoes) {
  EXPECT_EQ(printed(table(Damage::part), {2, 3, 4}), (Parts{"", "", "", "\ufffd"}));
  EXPECT_EQ(printed(table(Damage::byte), {2, 3, 4}), (Parts{"", "", "", "\ufffd\ufffd\ufffd"}));
  EXPECT_EQ(printed(table(Damage::part), {2, 3, 1}), (Parts{"", "", "\ufffd a", ""}));
  EXPECT_EQ(printed(table(Damage::byte), {2, 3, 1}), (Parts{"", "", "\ufffd\ufffd a", ""}));
  EXPECT_EQ(printed(table(Damage::part), {2, 3, 2}), (Parts{"", "", "\ufffd", "\ufffd"}));
  EXPECT_EQ(printed(table(Damage::byte), {2, 3, 2}), (Parts{"", "", "\ufffd\ufffd", "\ufffd"}));
}

TEST(DecodeStream, TakesOffTheSpaceThatWasPutBeforeTheText) {
  EXPECT_EQ(printed(table(Damage::byte, Strip::characters, 1), {0, 1, 1}), (Parts{"", "a", " a", ""}));
  EXPECT_EQ(printed(table(Damage::byte, Strip::characters, 1), {6, 1}), (Parts{"", " a", ""}));
  EXPECT_EQ(printed(table(Damage::byte, Strip::characters, 2), {7, 1, 1}), (Parts{"", "a", " a", ""}));
  EXPECT_EQ(printed(table(Damage::byte, Strip::first_token, 1), {0, 1, 1}), (Parts{"", "a", " a", ""}));
  EXPECT_EQ(printed(table(Damage::byte, Strip::first_token, 1), {6, 1}), (Parts{" ", " a", ""}));
  EXPECT_EQ(printed(table(Damage::byte, Strip::first_token, 1), {7, 1}), (Parts{"", " a", ""}));
  EXPECT_EQ(printed(table(Damage::byte, Strip::until_text, 1), {7, 1, 1}), (Parts{"", "a", " a", ""}));
}

TEST(DecodeStream, RefusesATokenThatIsNotThere) {
  const DecodeTable made = table(Damage::part);
  for (const TokenId id : {-1, 8}) {
    DecodeStream stream(made);
    try {
      stream.next(id);
      FAIL() << id;
    } catch (const UsageError& e) {
      EXPECT_EQ(std::string(e.what()), "token id " + std::to_string(id) + ": expected 0 to 7");
    }
  }
}

}  // namespace
}  // namespace hydrajob
