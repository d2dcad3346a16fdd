#include <gtest/gtest.h>

#include "unit/tokenizer/files.hpp"

namespace hydrajob {
namespace {

using namespace test;
using Ids = std::vector<TokenId>;
constexpr auto nothing = Tokenizer::Around::nothing;

std::unique_ptr<Tokenizer> of(const std::string& json) {
  return make_tokenizer(huggingface_tokenizer, json, "file");
}

std::string refusal(const std::string& json) {
  return test::refusal(huggingface_tokenizer, json);
}

const std::string special_tokens =
    R"(,"added_tokens":[{"id":300,"content":"<|begin_of_text|>","special":true},)"
    R"({"id":301,"content":"<|end_of_text|>","special":true},{"id":302,"content":"<mark>","special":false}])";
const std::string bos_template =
    R"(,"post_processor":{"type":"TemplateProcessing","single":[{"SpecialToken":{"id":"<|begin_of_text|>","type_id":0}},)"
    R"({"Sequence":{"id":"A","type_id":0}}],"special_tokens":{"<|begin_of_text|>":{"ids":[300]}}})";

TEST(ByteLevel, MergesWithinWords) {
  const auto tokenizer = of(byte_level_json(R"("ab":256,"Ġab":257)", R"("a b","Ġ ab")"));
  EXPECT_EQ(tokenizer->encode("ab ab"), (Ids{256, 257}));
  EXPECT_EQ(tokenizer->encode("ba"), (Ids{'b', 'a'}));
  EXPECT_EQ(tokenizer->encode("é\n"), (Ids{0xc3, 0xa9, '\n'}));
  EXPECT_EQ(tokenizer->encode("1234"), (Ids{'1', '2', '3', '4'}));
  EXPECT_EQ(tokenizer->decode(tokenizer->encode("ab ab é\n😀")), "ab ab é\n😀");
  EXPECT_EQ(tokenizer->vocabulary_size(), 258);
  EXPECT_EQ(tokenizer->piece(257), "Ġab");
  EXPECT_EQ(tokenizer->bos(), std::nullopt);
  EXPECT_EQ(tokenizer->eos(), std::nullopt);
}

TEST(ByteLevel, BothFormsOfMergesAreRead) {
  const auto tokenizer = of(byte_level_json(R"("ab":256,"Ġab":257)", R"(["a","b"],["Ġ","ab"])"));
  EXPECT_EQ(tokenizer->encode("ab ab"), (Ids{256, 257}));
}

TEST(ByteLevel, AWordThatIsATokenNeedsNoMerges) {
  EXPECT_EQ(of(byte_level_json(R"("abc":256)", ""))->encode("abc"), (Ids{'a', 'b', 'c'}));
  EXPECT_EQ(of(byte_level_json(R"("abc":256)", "", R"(,"ignore_merges":true)"))->encode("abc abc"),
            (Ids{256, ' ', 'a', 'b', 'c'}));
}

TEST(ByteLevel, SpecialTokensStandAroundAndWithinText) {
  const auto tokenizer = of(byte_level_json("\"ab\":256", R"("a b")", "", special_tokens + bos_template));
  EXPECT_EQ(tokenizer->encode("ab<|end_of_text|>ab"), (Ids{300, 256, 301, 256}));
  EXPECT_EQ(tokenizer->encode("ab<mark>", nothing), (Ids{256, 302}));
  EXPECT_EQ(tokenizer->encode(""), Ids{300});
  EXPECT_EQ(tokenizer->decode(Ids{300, 256, 302, 301}), "ab<mark>");
  EXPECT_EQ(tokenizer->bos(), 300);
  EXPECT_EQ(tokenizer->eos(), 301);
  EXPECT_EQ(tokenizer->vocabulary_size(), 303);
  EXPECT_EQ(tokenizer->piece(299), "");
  EXPECT_EQ(tokenizer->decode(Ids{299, 'a'}), "a");
}

TEST(ByteLevel, NfcComposesCharacters) {
  const auto tokenizer = of(byte_level_json("\"ab\":256", "", "", R"(,"normalizer":{"type":"NFC"})"));
  EXPECT_EQ(tokenizer->encode("e\u0301"), (Ids{0xc3, 0xa9}));
  EXPECT_EQ(tokenizer->encode(std::string("\0e", 2)), (Ids{0, 'e'}));
  EXPECT_EQ(tokenizer->decode(tokenizer->encode(std::string("\0e\u0301\xff", 5))),
            std::string("\0\u00e9\ufffd", 6));
}

TEST(ByteFallback, EncodesAsLlama2Does) {
  const std::string normalizer =
      R"(,"normalizer":{"type":"Sequence","normalizers":[{"type":"Prepend","prepend":"▁"},)"
      R"({"type":"Replace","pattern":{"String":" "},"content":"▁"}]})";
  const std::string tokens = R"("▁":256,"a":257,"b":258,"ab":259,"▁ab":260,"▁▁":261)";
  const std::string merges = R"("a b","▁ ab","▁ ▁")";
  const auto tokenizer = of(byte_fallback_json(tokens, merges, normalizer));
  EXPECT_EQ(tokenizer->encode("ab ab"), (Ids{260, 260}));
  EXPECT_EQ(tokenizer->encode("ab   "), (Ids{260, 261, 256}));
  EXPECT_EQ(tokenizer->encode("é"), (Ids{256, 0xc3, 0xa9}));
  EXPECT_EQ(tokenizer->decode(Ids{260, 260}), "ab ab");
  EXPECT_EQ(tokenizer->decode(Ids{260, 0xc3, 0xa9, 0xc3}), "ab\ufffd\ufffd\ufffd");
}

TEST(ByteFallback, ASpaceIsPutWhereMetaspaceSays) {
  const auto with = [](const std::string& scheme) {
    return of(byte_fallback_json(
        R"("▁":256,"a":257,"▁a":258)", R"("▁ a")",
        R"(,"pre_tokenizer":{"type":"Metaspace","prepend_scheme":")" + scheme +
            R"(","split":false},"added_tokens":[{"id":259,"content":"<s>","special":true}])"));
  };
  EXPECT_EQ(with("always")->encode("a<s>a"), (Ids{258, 259, 258}));
  EXPECT_EQ(with("first")->encode("a<s>a"), (Ids{258, 259, 257}));
  EXPECT_EQ(with("first")->encode("<s>a"), (Ids{259, 257}));
  EXPECT_EQ(with("never")->encode("a a"), (Ids{257, 258}));
  EXPECT_EQ(with("always")->encode(" a"), (Ids{258}));
}

TEST(Characters, UnknownOnesAreTheUnknownToken) {
  const auto with = [](const char* fuse) {
    return of(std::string(R"({"model":{"unk_token":"?","fuse_unk":)") + fuse +
              R"(,"vocab":{"?":0,"a":1,"b":2,"ab":3},"merges":["a b"]},"decoder":{"type":"Fuse"}})");
  };
  EXPECT_EQ(with("false")->encode("ab中文é ab"), (Ids{3, 0, 0, 0, 0, 3}));
  EXPECT_EQ(with("true")->encode("ab中文é ab文a"), (Ids{3, 0, 3, 0, 1}));
}

TEST(AddedTokensOfAFile, AreLookedForBeforeOrBehindTheNormalizer) {
  const auto tokenizer = of(byte_fallback_json(
      R"("▁":256,"a":257,"b":258)", "",
      R"(,"normalizer":{"type":"Replace","pattern":{"String":" "},"content":"▁"},"added_tokens":[)"
      R"({"id":259,"content":"a b","normalized":true},{"id":260,"content":"b a","normalized":false}])"));
  EXPECT_EQ(tokenizer->encode("a▁b"), Ids{259});
  EXPECT_EQ(tokenizer->encode("aa b"), (Ids{257, 259}));
  EXPECT_EQ(tokenizer->encode("b▁a"), (Ids{258, 256, 257}));
  EXPECT_EQ(tokenizer->encode("a b a"), (Ids{257, 256, 260}));
  EXPECT_EQ(tokenizer->decode(Ids{257, 259, 260}), "aa bb a");
}

TEST(AddedTokensOfAFile, NoSpaceIsPutBehindOneThatBeginsTheText) {
  const auto tokenizer =
      of(byte_fallback_json(R"("▁":256,"a":257)", "",
                            R"(,"pre_tokenizer":{"type":"Metaspace","prepend_scheme":"first","split":false},)"
                            R"("added_tokens":[{"id":258,"content":"<n>","normalized":true}])"));
  EXPECT_EQ(tokenizer->encode("a<n>a"), (Ids{256, 257, 258, 257}));
  EXPECT_EQ(tokenizer->encode("<n>a"), (Ids{258, 257}));
}

TEST(TokenizerJson, SaysWhatIsNoTokenizer) {
  EXPECT_EQ(refusal("[]"), "file: no JSON object");
  EXPECT_EQ(refusal("{}"), "file: 'model' is missing");
  EXPECT_EQ(refusal(R"({"model":{},"model":{}})"), "file: 'model' stands there twice");
  EXPECT_EQ(refusal(R"({"model":7})"), "file: model: 7: expected an object");
  EXPECT_EQ(refusal(R"({"model":{"vocab":{"a":0},"merges":[]}})"), "file: 'decoder' is missing");
  EXPECT_EQ(refusal("{\"model\":\"\xff\"}").substr(0, 36), "file: [json.exception.parse_error.10");
  EXPECT_EQ(refusal(R"({"model":)" + std::string(100, '[') + std::string(100, ']') + "}"),
            "file: nested more than 32 deep");
}

TEST(TokenizerJson, SaysWhatIsWrongWithTokens) {
  EXPECT_EQ(refusal(byte_level_json(R"("ab":7)", "")).substr(0, 20), "file: model.vocab: '");
  EXPECT_EQ(refusal(byte_level_json(R"("ab":-1)", "")),
            "file: model.vocab: 'ab': -1: expected a token id from 0 to 1048575");
  EXPECT_EQ(refusal(byte_level_json(R"("ab":1048576)", "")),
            "file: model.vocab: 'ab': 1048576: expected a token id from 0 to 1048575");
  EXPECT_EQ(refusal(byte_level_json(R"("ab":"x")", "")),
            "file: model.vocab: 'ab': \"x\": expected a token id from 0 to 1048575");
  EXPECT_EQ(refusal(byte_level_json(R"("ab":256)", R"("a x","a b")")),
            "file: model.merges[0]: 'ax' is no token of model.vocab");
  EXPECT_EQ(refusal(byte_level_json(R"("ab":256)", R"("a b","a 中")")),
            "file: model.merges[1]: '中' is no token of model.vocab");
  EXPECT_EQ(refusal(byte_level_json(R"("ab":256)", R"("ab")")),
            "file: model.merges[0]: \"ab\": expected two tokens");
  EXPECT_EQ(refusal(byte_level_json(R"("ab":256)", R"("a b c")")),
            "file: model.merges[0]: \"a b c\": expected two tokens");
  EXPECT_EQ(refusal(byte_level_json(R"("ab":256)", R"(["a"])")),
            "file: model.merges[0]: [\"a\"]: expected two tokens");
  EXPECT_EQ(
      refusal(
          R"({"model":{"vocab":{"a":0},"merges":[]},"pre_tokenizer":{"type":"ByteLevel"},"decoder":{"type":"ByteLevel"}})"),
      "file: model.vocab has no token for byte 0");
  EXPECT_EQ(refusal(R"({"model":{"vocab":{"a":0},"merges":[]},"decoder":{"type":"Fuse"}})"),
            "file: model has neither byte_fallback nor unk_token: it would lose characters");
}

TEST(TokenizerJson, SaysWhatIsWrongWithAddedTokens) {
  const auto with = [](const std::string& tokens) {
    return refusal(byte_level_json(R"("ab":256)", "", "", R"(,"added_tokens":[)" + tokens + "]"));
  };
  EXPECT_EQ(with(R"({"id":257,"content":"ab"})"),
            "file: added token 'ab' has id 257, which model.vocab gives as 256");
  EXPECT_EQ(with(R"({"id":256,"content":"x y"})"),
            "file: added token 'x y' has id 256, which model.vocab gives to 'ab'");
  EXPECT_EQ(with(R"({"id":256,"content":"ab"})"), "no error");
  EXPECT_EQ(with(R"({"id":257,"content":"x"},{"id":257,"content":"yy"})").substr(0, 26),
            "file: added_tokens[1].id: ");
  EXPECT_EQ(with(R"({"id":257,"content":"xx","lstrip":true})"),
            "file: added_tokens[0].lstrip: true: expected false: nothing else is supported");
  EXPECT_EQ(with(R"({"id":257,"content":""})"), "file: added_tokens[0].content: \"\": expected text");
}

TEST(TokenizerJson, NamesWhatIsNotSupported) {
  const auto with = [](const std::string& parts) {
    return refusal(byte_fallback_json(R"("a":256)", "", parts));
  };
  EXPECT_EQ(with(R"(,"normalizer":{"type":"NFD"})"),
            "file: normalizer.type: \"NFD\": expected NFC, Prepend, Replace or Sequence: nothing else is "
            "supported");
  EXPECT_EQ(with(R"(,"pre_tokenizer":{"type":"Sequence","pretokenizers":[{"type":"Whitespace"}]})"),
            "file: pre_tokenizer.pretokenizers[0].type: \"Whitespace\": expected ByteLevel, Split, Digits, "
            "Metaspace or "
            "Sequence: nothing else is supported");
  EXPECT_EQ(with(R"(,"post_processor":{"type":"BertProcessing"})"),
            "file: post_processor.type: \"BertProcessing\": expected ByteLevel or TemplateProcessing: "
            "nothing else is supported");
  EXPECT_EQ(with(R"(,"pre_tokenizer":{"type":"ByteLevel"})"),
            "file: ByteLevel in one of pre_tokenizer and decoder, expected it in both or none");
  EXPECT_EQ(refusal(R"({"model":{"type":"Unigram"}})"),
            "file: model.type: \"Unigram\": expected BPE: nothing else is supported");
  EXPECT_EQ(refusal(byte_level_json(R"("ab":256)", "", R"(,"dropout":0.1)")),
            "file: model.dropout: 0.1: expected null: nothing else is supported");
  EXPECT_EQ(
      refusal(byte_level_json(
          R"("ab":256)", "", "",
          R"(,"post_processor":{"type":"TemplateProcessing","single":[{"SpecialToken":{"id":"x"}},{"Sequence":{"id":"A"}}],"special_tokens":{"x":{"ids":[999]}}})")),
      "file: post_processor: token id 999, expected 0 to 256");
}

TEST(Kind, IsToldFromHowTheFileBegins) {
  EXPECT_STREQ(kind_of_tokenizer(" \n{", "f"), huggingface_tokenizer);
  EXPECT_STREQ(kind_of_tokenizer(small_sentencepiece(), "f"), sentencepiece_tokenizer);
  EXPECT_EQ(failure([] { kind_of_tokenizer("\x89HDF", "f"); }),
            "f: neither a tokenizer.json nor a sentencepiece tokenizer.model");
  EXPECT_EQ(failure([] { make_tokenizer("tiktoken", "", "f"); }),
            "f: tokenizer of kind 'tiktoken', expected 'sentencepiece' or 'huggingface'");
}

}  // namespace
}  // namespace hydrajob
