// Conditions of --only and --exclude, and when they hold.
#include "config/condition.hpp"

#include <gtest/gtest.h>

#include "unit/config/failure.hpp"

namespace hydrajob {
namespace {

const Parameters run{{"batch", std::int64_t{64}}, {"mode", std::string("paged")}, {"temperature", 0.5}};

bool matches(const std::string& text) {
  return holds(parse_conditions(text), run);
}
std::string refusal(const std::string& text) {
  return failure([&] { parse_conditions(text, "--only"); });
}

TEST(Conditions, CompareInEveryWay) {
  EXPECT_TRUE(matches("batch=64"));
  EXPECT_FALSE(matches("batch=63"));
  EXPECT_TRUE(matches("batch!=63"));
  EXPECT_FALSE(matches("batch!=64"));
  EXPECT_TRUE(matches("batch>=64"));
  EXPECT_FALSE(matches("batch>64"));
  EXPECT_TRUE(matches("batch<=64"));
  EXPECT_FALSE(matches("batch<64"));
  EXPECT_TRUE(matches("temperature<0.6"));
  EXPECT_TRUE(matches("batch>-1"));
}

TEST(Conditions, AllMustHold) {
  EXPECT_TRUE(matches("mode=paged,batch>=64"));
  EXPECT_FALSE(matches("mode=paged,batch>=65"));
  EXPECT_TRUE(matches("mode = paged , batch >= 64"));
}

TEST(Conditions, AnyOfSeveralValues) {
  EXPECT_TRUE(matches("mode=hydragen|paged"));
  EXPECT_FALSE(matches("mode=hydragen|noshared"));
  EXPECT_FALSE(matches("mode!=hydragen|paged"));
  EXPECT_TRUE(matches("batch=32:129:x2"));
  EXPECT_FALSE(matches("batch=0:64:1"));
  EXPECT_TRUE(matches("batch=1|32:129:x2"));
}

TEST(Conditions, OnWhatIsNotThereDoNotHold) {
  EXPECT_FALSE(matches("prefix=1"));
  EXPECT_FALSE(matches("prefix!=1"));
}

TEST(Conditions, ReadWhatTheyWrite) {
  for (const char* text : {"batch>=64", "mode=paged|hydragen", "mode!=vllm", "temperature<0.25"}) {
    const Condition one = parse_conditions(text).front();
    const Node map = parse_document(one.parameter + ": '" + value_text(one) + "'", "f");
    const Condition again = read_conditions(map).front();
    EXPECT_EQ(again.kind, one.kind) << text;
    EXPECT_EQ(again.values, one.values) << text;
  }
}

TEST(Conditions, SayWhatIsWrong) {
  EXPECT_EQ(refusal("bacth=1"), "--only 'bacth=1': unknown parameter 'bacth': did you mean 'batch'?");
  EXPECT_EQ(refusal("batch"),
            "--only 'batch': 'batch': expected a condition such as mode=hydragen or batch>=64");
  EXPECT_EQ(refusal(""), "--only '': '': expected a condition such as mode=hydragen or batch>=64");
  EXPECT_EQ(refusal("=3"), "--only '=3': '=3': expected a condition such as mode=hydragen or batch>=64");
  EXPECT_EQ(refusal("batch>=1|2"), "--only 'batch>=1|2': batch >= '1|2': expected one value");
  EXPECT_EQ(refusal("batch=5:5:1"), "--only 'batch=5:5:1': batch: '5:5:1': no values");
  EXPECT_EQ(refusal("batch=x"), "--only 'batch=x': batch: 'x': expected a whole number");
  EXPECT_EQ(refusal("batch>"), "--only 'batch>': batch: '': expected a whole number");
  EXPECT_EQ(refusal("target_ci<x"), "--only 'target_ci<x': target_ci: 'x': expected a number");
  for (const std::string wrong : {"==", "=>", "=<", "<>", "!", "><=", ">=!"}) {
    EXPECT_EQ(refusal("batch" + wrong + "4"), "--only 'batch" + wrong + "4': '" + wrong +
                                                  "' is no comparison: expected one of =, !=, <, <=, >, >=");
  }
  EXPECT_EQ(refusal("mode<paged"), "--only 'mode<paged': mode has no order: expected = or !=, not <");
}

}  // namespace
}  // namespace hydrajob
