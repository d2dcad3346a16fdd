#include <gtest/gtest.h>

#include "unit/tokenizer/files.hpp"

namespace hydrajob {
namespace {

using namespace test;
using Ids = std::vector<TokenId>;

constexpr TokenId byte_0 = 3, space = 259, a = 260, b = 261, space_ab = 263, two_spaces = 264;

std::unique_ptr<Tokenizer> small() {
  return make_tokenizer(sentencepiece_tokenizer, small_sentencepiece(), "file");
}

TEST(Sentencepiece, EncodesAsLlamaDoes) {
  const auto tokenizer = small();
  EXPECT_EQ(tokenizer->encode("ab"), (Ids{1, space_ab}));
  EXPECT_EQ(tokenizer->encode("ab ab"), (Ids{1, space_ab, space_ab}));
  EXPECT_EQ(tokenizer->encode("ab  ab"), (Ids{1, space_ab, space, space_ab}));
  EXPECT_EQ(tokenizer->encode("ab   "), (Ids{1, space_ab, two_spaces, space}));
  EXPECT_EQ(tokenizer->encode("a ab "), (Ids{1, space, a, space_ab, space}));
  EXPECT_EQ(tokenizer->encode(""), (Ids{1}));
  EXPECT_EQ(tokenizer->encode("ab", Tokenizer::Around::nothing), (Ids{space_ab}));
  EXPECT_EQ(tokenizer->encode("aba\n", Tokenizer::Around::nothing), (Ids{space_ab, a, byte_0 + '\n'}));
  EXPECT_EQ(tokenizer->encode("é", Tokenizer::Around::nothing), (Ids{space, byte_0 + 0xc3, byte_0 + 0xa9}));
  // A "▁" of the text itself is a space, behind which no word begins.
  EXPECT_EQ(tokenizer->encode("a▁ b", Tokenizer::Around::nothing), (Ids{space, a, two_spaces, b}));
  EXPECT_EQ(tokenizer->encode("\xff"), tokenizer->encode("\ufffd"));
}

TEST(Sentencepiece, DecodesWithoutTheSpaceBeforeTheText) {
  const auto tokenizer = small();
  EXPECT_EQ(tokenizer->decode(Ids{1, space_ab, space_ab, 2}), "ab ab");
  EXPECT_EQ(tokenizer->decode(Ids{two_spaces, a}), " a");
  EXPECT_EQ(tokenizer->decode(Ids{byte_0 + ' ', space_ab}), "  ab");
  EXPECT_EQ(tokenizer->decode(Ids{0, a}), " \u2047 a");
}

TEST(Sentencepiece, TellsItsTokens) {
  const auto tokenizer = small();
  EXPECT_EQ(tokenizer->vocabulary_size(), 265);
  EXPECT_EQ(tokenizer->bos(), 1);
  EXPECT_EQ(tokenizer->eos(), 2);
  EXPECT_EQ(tokenizer->piece(space_ab), "▁ab");
  EXPECT_THROW(tokenizer->piece(265), UsageError);
  EXPECT_THROW(tokenizer->decode(Ids{-1}), UsageError);
}

// "b▁a" reaches over the border of two words: there the text is encoded whole.
TEST(Sentencepiece, APieceOfTwoWordsIsFound) {
  const std::string model = special_pieces() + byte_pieces() + piece("▁", -9, 1) + piece("a", -8, 1) +
                            piece("b", -7, 1) + piece("▁a", -1, 1) + piece("b▁a", -2, 1) + bpe_trainer() +
                            identity_normalizer();
  const auto tokenizer = make_tokenizer(sentencepiece_tokenizer, model, "file");
  EXPECT_EQ(tokenizer->encode("b a", Tokenizer::Around::nothing), (Ids{space, 263}));
}

TEST(Sentencepiece, SaysWhatIsWrong) {
  const auto of = [](const std::string& bytes) { return refusal(sentencepiece_tokenizer, bytes); };
  const std::string end = bpe_trainer() + identity_normalizer();
  EXPECT_EQ(of(""), "file: no pieces, expected a sentencepiece model");
  EXPECT_EQ(of("\n\x05"
               "ab"),
            "file: at byte 2: a field of 5 bytes where 2 are left");
  EXPECT_EQ(of("\x0b"), "file: at byte 0: wire type 3, expected a sentencepiece model");
  EXPECT_EQ(of(std::string("\n\x80")), "file: at byte 0: the file ends within a number");
  EXPECT_EQ(of(field(1, std::uint64_t{7})), "file: at byte 0: field 1: expected text or a message");
  EXPECT_EQ(of(special_pieces() + byte_pieces() + piece("a", 0, 9) + end).substr(0, 17), "file: piece 259: ");
  EXPECT_EQ(of(special_pieces() + byte_pieces() + piece("<s>", 0, 1) + end),
            "file: piece 259 '<s>': stands there twice");
  EXPECT_EQ(of(special_pieces() + byte_pieces() + piece("\xff", 0, 1) + end),
            "file: piece 259 '\ufffd': expected UTF-8");
  EXPECT_EQ(of(special_pieces() + byte_pieces() + piece("", 0, 1) + end),
            "file: piece 259 '': expected text");
  EXPECT_EQ(of(special_pieces() + byte_pieces() + piece("a", 0.0f / 0.0f, 1) + end),
            "file: piece 259 'a': its score is not a number");
  EXPECT_EQ(of(special_pieces() + end), "file: byte_fallback, but no piece '<0x00>'");
  EXPECT_EQ(of(byte_pieces() + end), "file: 0 unknown pieces, expected 1");
  EXPECT_EQ(of(special_pieces() + byte_pieces() + piece("<0x1>", 0, 6) + end),
            "file: '<0x1>' is no byte, expected <0x00> to <0xFF>");
  EXPECT_EQ(of(special_pieces() + byte_pieces() + identity_normalizer()),
            "file: trainer_spec: model type unigram (1), expected BPE (2)");
}

TEST(Sentencepiece, ANormalizerThatChangesCharactersIsRefusedByName) {
  const std::string normalizer =
      field(3, field(1, std::string_view("nmt_nfkc")) + field(2, std::string_view("map")));
  const std::string message =
      refusal(sentencepiece_tokenizer, special_pieces() + byte_pieces() + bpe_trainer() + normalizer);
  EXPECT_NE(message.find("normalizer 'nmt_nfkc': expected 'identity'"), std::string::npos) << message;
}

}  // namespace
}  // namespace hydrajob
