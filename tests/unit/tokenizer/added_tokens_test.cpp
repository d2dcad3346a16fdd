#include "tokenizer/added_tokens.hpp"

#include <string>

#include <gtest/gtest.h>

namespace hydrajob::tokenizer {
namespace {

std::string cut(const AddedTokens& tokens, std::string_view text) {
  std::string parts;
  tokens.split(
      text, [&](std::string_view part) { parts.append("[").append(part).append("]"); },
      [&](TokenId id) { parts += std::to_string(id); });
  return parts;
}

TEST(AddedTokens, FindsTheLeftmostAndOfThoseTheLongest) {
  AddedTokens tokens;
  tokens.insert("<s>", 1);
  tokens.insert("<s><s>", 2);
  tokens.insert("s>x", 3);
  tokens.insert("<s>", 4);

  EXPECT_EQ(cut(tokens, "a<s>b"), "[a]1[b]");
  EXPECT_EQ(cut(tokens, "<s><s><s>"), "21");
  EXPECT_EQ(cut(tokens, "<s>x"), "1[x]");
  EXPECT_EQ(cut(tokens, "<<s"), "[<<s]");
  EXPECT_EQ(cut(tokens, "<s><s"), "1[<s]");
  EXPECT_EQ(cut(tokens, ""), "");
}

TEST(AddedTokens, NoneFindsNothing) {
  EXPECT_EQ(cut(AddedTokens(), "a<s>"), "[a<s>]");
}

}  // namespace
}  // namespace hydrajob::tokenizer
