// Prompts by level and as JSONL, with a tokenizer whose ids are bytes.
#include "completions/request.hpp"

#include <gtest/gtest.h>

#include "base/error.hpp"
#include "unit/tokenizer/files.hpp"

using namespace hydrajob;

namespace {

std::unique_ptr<Tokenizer> bytes() {
  return make_tokenizer(huggingface_tokenizer, test::byte_level_json("\"unused\":256", ""), "test");
}

std::vector<TokenId> ids(const std::string& text) {
  return {text.begin(), text.end()};
}

}  // namespace

TEST(Requests, LevelsHangEvenlyFromThoseAbove) {
  const auto tokenizer = bytes();
  const auto requests = requests_of_levels({"r|s", "1|2|3|4", "|x|y|z"}, *tokenizer, {2, 5, {"!"}});
  std::vector<std::vector<TokenId>> prompts;
  for (const Request& request : requests) {
    prompts.push_back(request.tokens);
    EXPECT_EQ(request.n, 2);
    EXPECT_EQ(request.max_new_tokens, 5);
    EXPECT_EQ(request.stop, std::vector<std::string>{"!"});
  }
  EXPECT_EQ(prompts, (std::vector{ids("r1"), ids("r2x"), ids("s3y"), ids("s4z")}));
}

TEST(Requests, LevelsOfOtherSizesAreRefused) {
  const auto tokenizer = bytes();
  EXPECT_THROW(requests_of_levels({"a|b", "c"}, *tokenizer, {}), UsageError);
  EXPECT_THROW(requests_of_levels({"a|b", "c|d|e"}, *tokenizer, {}), UsageError);
}

TEST(Requests, LinesOverrideTheDefaults) {
  const auto tokenizer = bytes();
  const auto requests = requests_of_jsonl(
      "{\"prompt\":\"a\"}\r\n\n"
      R"({"tokens":[3,4],"id":7,"n":3,"max_new_tokens":9,"stop":"x"})"
      "\n"
      R"({"prompt":"b","id":"q","stop":["y","z"]})",
      "in", tokenizer.get(), {2, 5, {"!"}});
  ASSERT_EQ(requests.size(), 3u);
  EXPECT_EQ(requests[0].tokens, ids("a"));
  EXPECT_EQ(requests[0].n, 2);
  EXPECT_EQ(requests[0].stop, std::vector<std::string>{"!"});
  EXPECT_TRUE(requests[0].id.empty());
  EXPECT_EQ(requests[1].tokens, (std::vector<TokenId>{3, 4}));
  EXPECT_EQ(requests[1].n, 3);
  EXPECT_EQ(requests[1].max_new_tokens, 9);
  EXPECT_EQ(requests[1].id, "7");
  EXPECT_EQ(requests[1].stop, std::vector<std::string>{"x"});
  EXPECT_EQ(requests[1].place, "in:3");
  EXPECT_EQ(requests[2].id, "\"q\"");
  EXPECT_EQ(requests[2].stop, (std::vector<std::string>{"y", "z"}));
}

TEST(Requests, WhatHasNoTextNeedsNoTokenizer) {
  EXPECT_EQ(requests_of_jsonl(R"({"tokens":[1]})", "in", nullptr, {}).size(), 1u);
  EXPECT_THROW(requests_of_jsonl(R"({"prompt":"a"})", "in", nullptr, {}), UsageError);
  EXPECT_THROW(requests_of_jsonl(R"({"tokens":[1],"stop":"a"})", "in", nullptr, {}), UsageError);
}
