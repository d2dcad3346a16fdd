// Damaged files: refused with one line, or read; never anything else. Most of it counts under the sanitizers.
#include <cstdlib>
#include <iostream>
#include <random>

#include <gtest/gtest.h>

#include "unit/tokenizer/files.hpp"

namespace hydrajob {
namespace {

using namespace test;

const std::string json_model = byte_level_json(
    R"("ab":256,"Ġab":257)", R"("a b","Ġ ab")", "",
    R"(,"added_tokens":[{"id":258,"content":"<s>","special":true}],"post_processor":{"type":"TemplateProcessing",)"
    R"("single":[{"SpecialToken":{"id":"<s>"}},{"Sequence":{"id":"A"}}],"special_tokens":{"<s>":{"ids":[258]}}})");

std::uint64_t seed_of_this_run() {
  static const std::uint64_t seed = [] {
    const char* given = std::getenv("HJ_TEST_SEED");
    const std::uint64_t fresh = given != nullptr ? std::strtoull(given, nullptr, 10) : std::random_device{}();
    std::cout << "HJ_TEST_SEED=" << fresh << std::endl;
    return fresh;
  }();
  return seed;
}

// Whether it was read.
bool survives(const char* kind, const std::string& bytes) {
  try {
    const auto tokenizer = make_tokenizer(kind, bytes, "file");
    const std::vector<TokenId> ids = tokenizer->encode("ab  ab é\xff 😀<s>");
    tokenizer->decode(ids);
    for (TokenId id = 0; id < tokenizer->vocabulary_size(); ++id) tokenizer->decode({&id, 1});
    return true;
  } catch (const UsageError& e) {
    const std::string message = e.what();
    EXPECT_EQ(message.find('\n'), std::string::npos) << message;
    EXPECT_LT(message.size(), 1000U) << message;
    return false;
  }
}

TEST(Damage, ASentencepieceModelCutAnywhere) {
  const std::string whole = small_sentencepiece();
  EXPECT_TRUE(survives(sentencepiece_tokenizer, whole));
  for (std::size_t length = 0; length < whole.size(); ++length) {
    const bool between_fields = length == whole.size() - identity_normalizer().size();
    EXPECT_EQ(survives(sentencepiece_tokenizer, whole.substr(0, length)), between_fields) << length;
  }
}

TEST(Damage, ATokenizerJsonCutAnywhere) {
  EXPECT_TRUE(survives(huggingface_tokenizer, json_model));
  for (std::size_t length = 0; length < json_model.size(); length += 7) {
    EXPECT_FALSE(survives(huggingface_tokenizer, json_model.substr(0, length))) << length;
  }
}

TEST(Damage, BytesChangedAnywhere) {
  std::mt19937_64 random(seed_of_this_run());
  for (const auto& [kind, whole] : {std::pair(sentencepiece_tokenizer, small_sentencepiece()),
                                    std::pair(huggingface_tokenizer, json_model)}) {
    for (int round = 0; round < 2000; ++round) {
      std::string damaged = whole;
      for (std::uint64_t changes = 1 + random() % 3; changes > 0; --changes) {
        damaged[random() % damaged.size()] = static_cast<char>(random());
      }
      survives(kind, damaged);
    }
  }
}

}  // namespace
}  // namespace hydrajob
