// Which generated text is an answer, and what is counted of answers.
#include <gtest/gtest.h>

#include "needles/accuracy.hpp"
#include "needles/haystack.hpp"
#include "unit/tokenizer/files.hpp"

namespace hydrajob {
namespace {

// What Python's re.search("###(.*?)###", text) finds, stripped and without commas.
TEST(Answer, IsWhatTheReferenceFinds) {
  EXPECT_EQ(answer_in(" ###Blue###\n\nQuestion: ###Red###"), "Blue");
  EXPECT_EQ(answer_in("### Dark,  Green,\t###"), "Dark  Green");
  EXPECT_EQ(answer_in("####Blue###"), "#Blue");
  EXPECT_EQ(answer_in("###Bl\nue###Red###"), "Red");
  EXPECT_EQ(answer_in("######"), "");
  EXPECT_EQ(answer_in("### ,###"), "");
  EXPECT_EQ(answer_in("###Blue##"), std::nullopt);
  EXPECT_EQ(answer_in("###Blue\n###"), std::nullopt);
  EXPECT_EQ(answer_in("Blue"), std::nullopt);
  EXPECT_EQ(answer_in(""), std::nullopt);
}

TEST(Answer, OfTokensIsTheirTexts) {
  const std::shared_ptr<Tokenizer> tokenizer =
      make_tokenizer(sentencepiece_tokenizer, test::small_sentencepiece(), "small");
  Haystack haystack;
  haystack.prompt = "ab";
  haystack.n_facts = 4;
  haystack.questions = {{"a", "Ab", 3}, {"b", "Ba", 1}};
  const NeedleTask task = tokenized(haystack, tokenizer);
  EXPECT_EQ(task.n_needles, 4);
  EXPECT_EQ(tokenizer->decode(task.document), "ab");
  EXPECT_NE(task.document.front(), *tokenizer->bos());
  EXPECT_EQ(tokenizer->decode(task.questions[1].tokens), "b");
  EXPECT_EQ(task.questions[0].needle, 3);
  const std::vector<TokenId> ids = tokenizer->encode(" ###Ab###\n");
  EXPECT_TRUE(task.is_right(0, ids));
  EXPECT_FALSE(task.is_right(1, ids));
  EXPECT_FALSE(task.is_right(0, std::span(ids).first(ids.size() - 2)));
  std::vector<TokenId> with_unknown = ids;
  with_unknown.insert(with_unknown.begin() + 4, {tokenizer->vocabulary_size(), 1000000});
  EXPECT_TRUE(task.is_right(0, with_unknown));
}

// Of 21 needles, 0 to 2 stand in the first decile, 19 and 20 in the last.
TEST(Accuracy, IsCountedByDepth) {
  NeedleTask task;
  task.n_needles = 21;
  for (const std::int64_t needle : {0, 2, 3, 20}) task.questions.push_back({{1}, needle});
  task.is_right = [](std::size_t question, std::span<const TokenId> generated) {
    EXPECT_EQ(generated.size(), 2u);
    return generated[0] == static_cast<TokenId>(question);
  };
  // Six questions of two tokens: the first two are asked again.
  const NeedleAccuracy accuracy = accuracy_of(task, {0, 9, 9, 1, 2, 9, 9, 3, 0, 9, 1, 9}, 2);
  EXPECT_DOUBLE_EQ(accuracy.all, 4.0 / 6);
  EXPECT_EQ(accuracy.decile[0], 3.0 / 4);
  EXPECT_EQ(accuracy.decile[1], 1.0);
  EXPECT_EQ(accuracy.decile[2], std::nullopt);
  EXPECT_EQ(accuracy.decile[9], 0.0);
}

}  // namespace
}  // namespace hydrajob
