// Words that are encoded here, against the library: models and texts at random, of few characters, so that
// all that can go together does.
#include <cstdlib>
#include <iostream>
#include <random>
#include <sentencepiece_processor.h>
#include <set>

#include <gtest/gtest.h>

#include "unit/tokenizer/files.hpp"

namespace hydrajob {
namespace {

using namespace test;

std::mt19937_64& random_source() {
  static std::mt19937_64 source([] {
    const char* given = std::getenv("HJ_TEST_SEED");
    const auto seed = given != nullptr ? std::strtoull(given, nullptr, 10) : std::random_device{}();
    std::cout << "HJ_TEST_SEED=" << seed << std::endl;
    return seed;
  }());
  return source;
}

std::size_t below(std::size_t n) {
  return random_source()() % n;
}

std::string any_of(const std::vector<std::string>& parts, std::size_t n) {
  std::string text;
  for (std::size_t i = 0; i < n; ++i) text += parts[below(parts.size())];
  return text;
}

// Kinds: files.hpp. Scores are few, so that many are equal. One model in four has what is left to the
// library.
std::string any_model() {
  const std::vector<std::string> characters = {"a", "b", "c", "é", "中"};
  const bool odd = below(4) == 0;
  std::string bytes = special_pieces() + byte_pieces();
  std::set<std::string> seen;
  const auto add = [&](const std::string& text, int kind) {
    if (!seen.insert(text).second) return;
    bytes += piece(text, -static_cast<float>(below(8)), kind);
  };
  add("▁", below(8) == 0 ? 4 : 1);
  for (std::size_t i = below(3); i > 0; --i) {
    add((below(3) == 0 ? "▁" : "") + any_of({"a", "b", "中", "x", "\n"}, 1 + below(3)), 4);
  }
  for (const std::string& character : characters) {
    if (!odd || below(8) > 0) add(character, 1);
  }
  for (std::size_t i = below(30); i > 0; --i) {
    std::string text = any_of(characters, 1 + below(4));
    if (below(3) == 0) text = "▁" + text;
    if (odd && below(20) == 0) text += "▁";
    add(text, odd && below(10) == 0 ? 5 : 1);
  }
  if (below(2) == 0) add("▁▁", 1);
  return bytes + bpe_trainer() + identity_normalizer();
}

TEST(SentencepieceWords, HaveTheLibrarysIds) {
  for (int round = 0; round < 300; ++round) {
    const std::string model = any_model();
    const auto tokenizer = make_tokenizer(sentencepiece_tokenizer, model, "file");
    sentencepiece::SentencePieceProcessor library;
    const auto status = library.LoadFromSerializedProto(model);
    ASSERT_TRUE(status.ok()) << status.ToString();
    for (int i = 0; i < 40; ++i) {
      const std::string text = any_of({"a", "b", "c", "é", "中", "x", " ", " ", "▁", "\n", "😀"}, below(60));
      std::vector<int> expected;
      ASSERT_TRUE(library.Encode(text, &expected).ok());
      ASSERT_EQ(tokenizer->encode(text, Tokenizer::Around::nothing), expected)
          << "'" << text << "', round " << round;
    }
  }
}

}  // namespace
}  // namespace hydrajob
