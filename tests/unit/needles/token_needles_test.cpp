// Documents of token ids: what stands where, of random sizes.
#include "needles/token_needles.hpp"

#include <algorithm>
#include <map>
#include <random>
#include <set>

#include <gtest/gtest.h>

namespace hydrajob {
namespace {

class TokenDocument : public ::testing::Test {
 protected:
  void make(std::int64_t vocab, std::int64_t length, std::int64_t needles, std::int64_t question_length) {
    request_ = {seed_, vocab, length, needles, question_length};
    task_ = make_token_needles(request_);
    for (std::size_t i = 0; i < task_.document.size(); ++i) places_[task_.document[i]].push_back(i);
  }

  bool is_key(TokenId id) const { return id >= first_key() && id < first_key() + request_.needles; }
  std::int64_t first_key() const { return request_.vocab - 2 * request_.needles; }

  // A key's value is the token behind its one place.
  TokenId value_of(TokenId key) const { return task_.document[places_.at(key).front() + 1]; }

  void expect_needles() const {
    std::set<TokenId> values;
    for (std::int64_t key = first_key(); key < first_key() + request_.needles; ++key) {
      const auto id = static_cast<TokenId>(key);
      ASSERT_EQ(places_.count(id), 1u) << key;
      EXPECT_EQ(places_.at(id).size(), 1u) << key;
      EXPECT_GE(value_of(id), first_key() + request_.needles);
      values.insert(value_of(id));
    }
    EXPECT_EQ(values.size(), static_cast<std::size_t>(request_.needles));
    const auto fillers = std::count_if(task_.document.begin(), task_.document.end(),
                                       [&](TokenId id) { return id < first_key(); });
    EXPECT_EQ(fillers, request_.length - 2 * request_.needles);
  }

  void expect_questions() const {
    std::set<TokenId> keys;
    for (std::size_t i = 0; i < task_.questions.size(); ++i) {
      const NeedleQuestion& question = task_.questions[i];
      const TokenId key = question.tokens.back();
      EXPECT_EQ(static_cast<std::int64_t>(question.tokens.size()), request_.question_length);
      EXPECT_TRUE(is_key(key));
      EXPECT_TRUE(std::all_of(question.tokens.begin(), question.tokens.end() - 1,
                              [&](TokenId id) { return id >= 0 && id < first_key(); }));
      EXPECT_EQ(static_cast<std::int64_t>(places_.at(key).front()),
                1 + question.needle * (request_.length - 1) / request_.needles);
      const std::vector<TokenId> right{value_of(key), 0}, wrong{value_of(key) - 1, value_of(key)};
      EXPECT_TRUE(task_.is_right(i, right));
      EXPECT_FALSE(task_.is_right(i, wrong));
      keys.insert(key);
    }
    EXPECT_EQ(keys.size(), static_cast<std::size_t>(request_.needles));
  }

  const std::uint64_t seed_ = std::random_device()();
  TokenNeedles request_;
  NeedleTask task_;
  std::map<TokenId, std::vector<std::size_t>> places_;  // in the document
};

TEST_F(TokenDocument, HoldsEachKeyOnceAndAsksForIt) {
  SCOPED_TRACE("seed " + std::to_string(seed_));
  std::mt19937 random(static_cast<std::uint32_t>(seed_));
  const std::int64_t needles = 1 + random() % 100;
  make(least_vocabulary(needles) + random() % 50, least_length(needles) + random() % 500, needles,
       1 + random() % 20);
  expect_needles();
  expect_questions();
}

TEST_F(TokenDocument, CanBeFullOfNeedles) {
  make(least_vocabulary(7), least_length(7), 7, 1);
  expect_needles();
  expect_questions();
}

TEST_F(TokenDocument, IsTheSeedsOwn) {
  const TokenNeedles request{seed_, 100, 300, 20, 3};
  TokenNeedles another = request;
  ++another.seed;
  EXPECT_EQ(make_token_needles(request).document, make_token_needles(request).document);
  EXPECT_NE(make_token_needles(request).document, make_token_needles(another).document) << seed_;
}

TEST(NeedleTask, QuestionsComeAgain) {
  const NeedleTask task = make_token_needles({1, 100, 300, 20, 3});
  EXPECT_EQ(task.asked(19), 19u);
  EXPECT_EQ(task.asked(20), 0u);
  EXPECT_EQ(task.asked(45), 5u);
}

}  // namespace
}  // namespace hydrajob
