// Any bytes as a tokenizer's file: it is refused with one message, or it encodes and decodes, a sentencepiece
// model as the library does. HJ_FUZZ_KIND says of which kind.
//
// Behind the first byte 0 of a tokenizer.json stands a text to encode.
#include <cstddef>
#include <cstdint>
#include <cstdlib>
#include <sentencepiece_processor.h>
#include <string>
#include <string_view>

#include "base/error.hpp"
#include "base/utf8.hpp"
#include "tokenizer/tokenizer.hpp"

namespace {

using namespace hydrajob;

constexpr std::string_view some_text = "ab  ab\n\t12345 é\xff\xe2\x82 😀<s>\xe2\x96\x81 don't";

void use(Tokenizer& tokenizer, std::string_view text) {
  const std::vector<TokenId> ids = tokenizer.encode(text);
  // Each id of the vocabulary too, neighbours in one text.
  DecodeStream stream = tokenizer.stream();
  std::string decoded;
  for (const TokenId id : ids) decoded += stream.next(id);
  for (TokenId id = 0; id < tokenizer.vocabulary_size() && id < 1000; ++id) decoded += stream.next(id);
  decoded += stream.finish();
}

void expect_ids_of_library(Tokenizer& tokenizer, std::string_view model, std::string_view text) {
  sentencepiece::SentencePieceProcessor library;
  std::vector<int> ids;
  if (!library.LoadFromSerializedProto(model).ok() || !library.Encode(replace_damage(text), &ids).ok())
    std::abort();
  if (tokenizer.encode(text, Tokenizer::Around::nothing) != ids) std::abort();
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  const std::string_view bytes(reinterpret_cast<const char*>(data), size);
  const bool is_json = std::string_view(HJ_FUZZ_KIND) == huggingface_tokenizer;
  const std::size_t end = is_json ? bytes.find('\0') : std::string_view::npos;
  try {
    const auto tokenizer = make_tokenizer(HJ_FUZZ_KIND, bytes.substr(0, end), "file");
    use(*tokenizer, some_text);
    if (!is_json) expect_ids_of_library(*tokenizer, bytes, some_text);
    if (end != std::string_view::npos) use(*tokenizer, bytes.substr(end + 1));
  } catch (const UsageError& e) {
    const std::string_view message = e.what();
    if (message.find('\n') != std::string_view::npos || !is_utf8(message)) std::abort();
  }
  return 0;
}
