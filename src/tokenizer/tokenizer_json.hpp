// What stands in a Hugging Face tokenizer.json: each part a plain value, whatever is not supported refused by
// name.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <unordered_map>
#include <utility>
#include <vector>

#include "tokenizer/decode_stream.hpp"

namespace hydrajob::tokenizer {

// A token that is found in the text before anything else happens to it.
struct AddedToken {
  TokenId id = 0;
  std::string content;
  bool special = false;     // left out of decoded text
  bool normalized = false;  // looked for in the normalized text, itself normalized
};

struct BpeModel {
  std::unordered_map<std::string, TokenId> ids;             // by token, as the file spells it
  std::vector<std::pair<std::string, std::string>> merges;  // in the order of their ranks
  std::optional<TokenId> unknown;
  bool fuse_unknown = false;   // unknown characters beside each other are one token
  bool byte_fallback = false;  // unknown characters are the tokens <0x00> to <0xFF> of their bytes
  bool ignore_merges = false;  // a word that is a token is that token, whatever the merges say
};

// A change of the text before it is cut into words.
struct TextStep {
  enum class Kind : std::uint8_t {
    replace,       // every `from` by `to`
    prepend,       // `to` before each part of the text between added tokens
    begin,         // … unless it is there
    begin_of_all,  // … and only where the text itself begins
    compose,       // Unicode's NFC
  };
  Kind kind = Kind::replace;
  std::string from, to;
};

struct PreTokenizer {
  struct Split {
    std::string pattern;  // a regular expression: its matches, and what is between them, are words
    std::string place;    // in messages
  };
  std::vector<TextStep> marks;
  std::vector<Split> splits;      // each cuts the words of the one before
  bool byte_level = false;        // tokens spell bytes
  bool add_prefix_space = false;  // before a part of the text that begins with another character
};

struct Decoder {
  bool byte_level = false;
  bool byte_fallback = false;
  std::vector<std::pair<std::string, std::string>> replacements;  // within each token
  int strip = 0;                                                  // spaces off the beginning
};

struct TokenizerJson {
  BpeModel model;
  std::vector<AddedToken> added;
  std::vector<TextStep> normalizer;
  PreTokenizer pre_tokenizer;
  Decoder decoder;
  std::vector<TokenId> before, after;  // what the post-processor puts around a text
};

// Throws UsageError that begins with `origin`.
TokenizerJson read_tokenizer_json(std::string_view text, const std::string& origin);

}  // namespace hydrajob::tokenizer
