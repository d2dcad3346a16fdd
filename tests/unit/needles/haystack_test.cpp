// The reference's document, small enough to be written down.
#include "needles/haystack.hpp"

#include <gtest/gtest.h>

#include "unit/config/failure.hpp"

namespace hydrajob {
namespace {

const std::vector<Fact> three{{"Ann", "blue"}, {"Bo", "red"}, {"Cy", "dark green"}};
constexpr const char* text = "One,\ntwo.  Three   and\r\nfour. Five";

// random.seed(9); random.shuffle([0, 1, 2]) is [0, 2, 1].
TEST(Haystack, IsWrittenAsTheReferenceWritesIt) {
  const Haystack haystack = make_haystack(three, text, 1, 8, "t");
  EXPECT_EQ(haystack.prompt,
            "Start of document:\n"
            "The dog named Ann has fur that is blue. One, two. "
            "The dog named Bo has fur that is red.  Three  and four. "
            "The dog named Cy has fur that is dark green."
            "\nEnd of document\n\n"
            "Question: What color is the fur of the dog named Ann?\nAnswer: ###Blue###\n\n");
  EXPECT_EQ(haystack.n_facts, 3);
  ASSERT_EQ(haystack.questions.size(), 2u);
  EXPECT_EQ(haystack.questions[0].prompt, "Question: What color is the fur of the dog named Cy?\nAnswer:");
  EXPECT_EQ(haystack.questions[0].answer, "Dark Green");
  EXPECT_EQ(haystack.questions[0].fact, 2);
  EXPECT_EQ(haystack.questions[1].fact, 1);
}

TEST(Haystack, WithoutExamplesAllAreQuestions) {
  const Haystack haystack = make_haystack(three, text, 0, 8, "t");
  EXPECT_TRUE(haystack.prompt.ends_with("End of document\n\n"));
  EXPECT_EQ(haystack.questions.size(), 3u);
}

TEST(Haystack, CountsCharactersNotBytes) {
  // Five characters are "ééééé": the piece ends at the first full stop, not at the second.
  const Haystack haystack = make_haystack({{"A", "red"}, {"B", "blue"}}, "ééééé.a.b.", 0, 5, "t");
  EXPECT_NE(haystack.prompt.find("is red. ééééé. The dog named B"), std::string::npos) << haystack.prompt;
}

TEST(Haystack, RefusesTextsThatMakeNone) {
  const auto wrong = [](const std::string& in) {
    return failure([&] { make_haystack(three, in, 1, 8, "t"); });
  };
  EXPECT_EQ(wrong("One, two. Three"), "t: ends after 1 of 2 pieces of 4 characters and more, to a full stop");
  EXPECT_EQ(wrong(""), "t: ends after 0 of 2 pieces of 4 characters and more, to a full stop");
  EXPECT_EQ(wrong("caf\xe9. Two. Three."), "t: is not UTF-8");
}

std::vector<Fact> facts(const std::string& csv) {
  return parse_facts(csv, "f.csv");
}

TEST(Facts, AreReadByTheNamesOfColumns) {
  EXPECT_EQ(facts("document_order,name,color,role\r\n0,Ann,blue,question\r\n\r\n1,Bo,red,few_shot"),
            (std::vector<Fact>{{"Ann", "blue"}, {"Bo", "red"}}));
  EXPECT_EQ(facts("color,name\nred,Bo\n"), (std::vector<Fact>{{"Bo", "red"}}));
}

// random.seed(9): choices of eight are 7, 5 and 4; then shuffle([0, 1, 2]) is [1, 2, 0].
TEST(Facts, WithoutColoursAreDrawnAsTheReferenceDraws) {
  EXPECT_EQ(facts("name\nAnn\nBo\nCy\n"),
            (std::vector<Fact>{{"Bo", "red"}, {"Cy", "orange"}, {"Ann", "blue"}}));
}

TEST(Facts, SayWhatIsWrong) {
  const auto wrong_facts = [](const std::string& csv) { return failure([&] { facts(csv); }); };
  const std::string header = "f.csv:1: expected a header with a column 'name', and maybe 'color'";
  EXPECT_EQ(wrong_facts(""), "f.csv:0: expected a header with a column 'name', and maybe 'color'");
  EXPECT_EQ(wrong_facts("Ann,blue\n"), header);
  EXPECT_EQ(wrong_facts("name,color\nAnn\n"), "f.csv:2: 1 fields, the header has 2");
  EXPECT_EQ(wrong_facts("name,color\nAnn,\n"), "f.csv:2: no color");
  EXPECT_EQ(wrong_facts("name,color\n,red\n"), "f.csv:2: no name");
  EXPECT_EQ(wrong_facts("name,color\n\"A\",red\n"), "f.csv:2: quotes: expected plain fields between commas");
  EXPECT_EQ(wrong_facts("name,color\nAnn,red\nAnn,blue\n"),
            "f.csv:3: 'Ann' stands in a line before, too: a question would have two answers");
}

}  // namespace
}  // namespace hydrajob
