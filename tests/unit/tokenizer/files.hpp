// Small tokenizer files, made by hand, and what is said of wrong ones.
#pragma once

#include <cstdint>
#include <cstring>
#include <string>
#include <string_view>
#include <vector>

#include <fmt/format.h>

#include "tokenizer/tokenizer.hpp"
#include "unit/config/failure.hpp"

namespace hydrajob::test {

// Protocol buffers: one field of a message.
inline std::string varint(std::uint64_t value) {
  std::string bytes;
  for (; value >= 0x80; value >>= 7) bytes += static_cast<char>(0x80 | (value & 0x7f));
  return bytes + static_cast<char>(value);
}
inline std::string field(int number, std::uint64_t value) {
  return varint(static_cast<std::uint64_t>(number) << 3) + varint(value);
}
inline std::string field(int number, std::string_view bytes) {
  return varint(static_cast<std::uint64_t>(number) << 3 | 2) + varint(bytes.size()) + std::string(bytes);
}
inline std::string field(int number, float value) {
  std::string bytes(4, '\0');
  std::memcpy(bytes.data(), &value, 4);
  return varint(static_cast<std::uint64_t>(number) << 3 | 5) + bytes;
}

// Kinds: 1 normal, 2 unknown, 3 control, 4 user-defined, 6 byte.
inline std::string piece(std::string_view text, float score, int kind) {
  return field(1, field(1, text) + field(2, score) + field(3, static_cast<std::uint64_t>(kind)));
}
inline std::string special_pieces() {
  return piece("<unk>", 0, 2) + piece("<s>", 0, 3) + piece("</s>", 0, 3);
}
inline std::string byte_pieces() {
  std::string pieces;
  for (int byte = 0; byte < 256; ++byte) pieces += piece(fmt::format("<0x{:02X}>", byte), 0, 6);
  return pieces;
}
inline std::string bpe_trainer() {
  return field(2, field(3, std::uint64_t{2}) + field(35, std::uint64_t{1}));
}
// Llama-2's: nothing is removed, a space is put before the text.
inline std::string identity_normalizer() {
  return field(
      3, field(1, std::string_view("identity")) + field(3, std::uint64_t{1}) + field(4, std::uint64_t{0}));
}

// Ids: 0 to 2 special, 3 to 258 bytes, then "▁", "a", "b", "ab", "▁ab", "▁▁".
inline std::string small_sentencepiece() {
  return special_pieces() + byte_pieces() + piece("▁", -9, 1) + piece("a", -8, 1) + piece("b", -7, 1) +
         piece("ab", -1, 1) + piece("▁ab", -2, 1) + piece("▁▁", -3, 1) + bpe_trainer() +
         identity_normalizer();
}

// A tokenizer.json over characters: ids 0 to 255 are bytes. `parts`: further members, each with its comma
// before it.
inline std::string byte_fallback_json(const std::string& tokens, const std::string& merges,
                                      const std::string& parts = "") {
  std::string bytes;
  for (int byte = 0; byte < 256; ++byte) bytes += fmt::format("\"<0x{0:02X}>\":{0},", byte);
  return fmt::format(
      R"({{"model":{{"type":"BPE","byte_fallback":true,"vocab":{{{}{}}},"merges":[{}]}},)"
      R"("decoder":{{"type":"Sequence","decoders":[{{"type":"Replace","pattern":{{"String":"▁"}},"content":" "}},)"
      R"({{"type":"ByteFallback"}},{{"type":"Fuse"}},)"
      R"({{"type":"Strip","content":" ","start":1,"stop":0}}]}}{}}})",
      bytes, tokens, merges, parts);
}

// GPT-2's alphabet: a printable character of Latin-1 for itself, U+0100 and on for the others.
inline std::string spelled(int byte) {
  const auto stands_for_itself = [](int b) {
    return (b > 32 && b < 127) || (b > 160 && b < 256 && b != 173);
  };
  int code = byte;
  if (!stands_for_itself(byte)) {
    code = 256;
    for (int other = 0; other < byte; ++other) code += stands_for_itself(other) ? 0 : 1;
  }
  if (code == '"' || code == '\\') return std::string("\\") + static_cast<char>(code);
  if (code < 128) return std::string(1, static_cast<char>(code));
  return {static_cast<char>(0xc0 | code >> 6), static_cast<char>(0x80 | (code & 0x3f))};
}

// Llama-3's shape; ids 0 to 255 are bytes. `model`, `parts`: further members, each with its comma before it.
inline std::string byte_level_json(const std::string& tokens, const std::string& merges,
                                   const std::string& model = "", const std::string& parts = "") {
  std::string bytes;
  for (int byte = 0; byte < 256; ++byte) bytes += fmt::format("\"{}\":{},", spelled(byte), byte);
  return fmt::format(
      R"({{"model":{{"type":"BPE","vocab":{{{}{}}},"merges":[{}]{}}},)"
      R"("pre_tokenizer":{{"type":"Sequence","pretokenizers":[)"
      R"json({{"type":"Split","pattern":{{"Regex":"\\p{{N}}{{1,3}}| ?\\p{{L}}+|\\s+(?!\\S)"}},)json"
      R"("behavior":"Isolated","invert":false}},)"
      R"({{"type":"ByteLevel","add_prefix_space":false,"use_regex":false}}]}},)"
      R"("decoder":{{"type":"ByteLevel"}}{}}})",
      bytes, tokens, merges, model, parts);
}

// What a file that is refused is told.
inline std::string refusal(const char* kind, std::string_view bytes) {
  return failure([&] { make_tokenizer(kind, bytes, "file"); });
}

}  // namespace hydrajob::test
