// For tokenizer_test.py: many texts to ids, or many ids to texts, by one tokenizer.
//
//   tokenizer_probe TOKENIZER encode   texts, each its length (4 bytes, lowest first) and its bytes → a line
//   of ids each tokenizer_probe TOKENIZER decode   lines of ids → texts in the same form
//
// Decodes token by token too: what comes must be whole characters, and the same text.
#include <cstdint>
#include <cstdio>
#include <iostream>
#include <sstream>
#include <string>
#include <string_view>

#include "base/error.hpp"
#include "base/file.hpp"
#include "base/utf8.hpp"
#include "tokenizer/tokenizer.hpp"

namespace {

using namespace hydrajob;

bool read_text(std::istream& in, std::string& text) {
  unsigned char length[4];
  if (!in.read(reinterpret_cast<char*>(length), 4)) return false;
  text.resize(length[0] | length[1] << 8 | length[2] << 16 | static_cast<std::size_t>(length[3]) << 24);
  return static_cast<bool>(in.read(text.data(), static_cast<std::streamsize>(text.size())));
}

void write_text(const std::string& text) {
  for (int shift = 0; shift < 32; shift += 8) std::cout.put(static_cast<char>(text.size() >> shift & 0xff));
  std::cout << text;
}

void encode_all(Tokenizer& tokenizer) {
  for (std::string text; read_text(std::cin, text);) {
    for (const TokenId id : tokenizer.encode(text)) std::cout << id << ' ';
    std::cout << '\n';
  }
}

std::string decode_by_token(const Tokenizer& tokenizer, const std::vector<TokenId>& ids) {
  DecodeStream stream = tokenizer.stream();
  std::string text;
  const auto add = [&](const std::string& part) {
    if (!is_utf8(part)) throw UsageError("half a character: " + part);
    text += part;
  };
  for (const TokenId id : ids) add(stream.next(id));
  add(stream.finish());
  return text;
}

void decode_all(const Tokenizer& tokenizer) {
  for (std::string line; std::getline(std::cin, line);) {
    std::istringstream numbers(line);
    std::vector<TokenId> ids;
    for (TokenId id = 0; numbers >> id;) ids.push_back(id);
    const std::string text = tokenizer.decode(ids);
    if (decode_by_token(tokenizer, ids) != text) throw UsageError("another text token by token: " + line);
    write_text(text);
  }
}

}  // namespace

int main(int argc, char** argv) {
  if (argc != 3) return 2;
  try {
    const std::string file = read_file(argv[1]);
    const auto tokenizer = make_tokenizer(kind_of_tokenizer(file, argv[1]), file, argv[1]);
    if (std::string_view(argv[2]) == "encode") {
      encode_all(*tokenizer);
    } else {
      decode_all(*tokenizer);
    }
    flush_output();
  } catch (const Error& e) {
    std::fprintf(stderr, "tokenizer_probe: %s\n", e.what());
    return 2;
  }
  return 0;
}
