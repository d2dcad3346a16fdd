// Token ids to text, one after another: what a token adds is printed as soon as it is certain, and never half
// a character.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

namespace hydrajob {

using TokenId = std::int32_t;

// What a token is in text.
struct TokenText {
  enum class Kind : std::uint8_t {
    text,      // whole characters
    bytes,     // any bytes: a character may be spread over several tokens
    left_out,  // bos, eos and the like
  };
  Kind kind = Kind::left_out;
  std::string text;
};

// How tokens become text. Tokenizers differ in what they make of bytes that are no characters, and of the
// space that was put before the text when it was encoded.
struct DecodeTable {
  enum class Damage {
    part,  // one U+FFFD for each part of a character
    byte,  // one for each byte; what is left out ends a character
    run,   // for each byte of a run of bytes that is not UTF-8 as a whole: a run is printed when it ends
  };
  enum class Strip {
    characters,   // up to `strip` spaces where the text begins
    first_token,  // one, of a first token of whole characters
    until_text,   // one of each token until there is text
  };

  std::vector<TokenText> tokens;  // by id
  Damage damage = Damage::part;
  Strip strip_from = Strip::characters;
  int strip = 0;  // 0: nothing is taken off
};

// Refers to the table of its tokenizer, and must not outlive it.
class DecodeStream {
 public:
  explicit DecodeStream(const DecodeTable& table) : table_(table), spaces_left_(table.strip) {}

  // The text that is certain with this token. Throws UsageError where there is no such token.
  std::string next(TokenId id);
  // The text that was waiting for more: U+FFFD for what never became a character.
  std::string finish();

 private:
  std::string certain_bytes();
  std::string all_bytes();
  std::string without_leading_space(std::string text, bool whole_token);

  const DecodeTable& table_;
  std::string waiting_;  // bytes of a character that may go on
  int spaces_left_;      // that may still be taken off
};

}  // namespace hydrajob
