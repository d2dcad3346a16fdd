// What stands in a sentencepiece tokenizer.model, and whether the library can be trusted with it.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

namespace hydrajob::tokenizer {

// Names and numbers of sentencepiece's own ModelProto.
struct SentencepieceModel {
  enum class Kind : std::uint8_t {
    normal = 1,
    unknown = 2,
    control = 3,
    user_defined = 4,
    unused = 5,
    byte = 6
  };

  struct Piece {
    std::string text;
    float score = 0;
    Kind kind = Kind::normal;
  };

  std::vector<Piece> pieces;  // by id
  bool is_bpe = false;        // unigram where the file does not say
  bool byte_fallback = false;
  bool space_is_suffix = false;                    // a space is put behind words rather than before them
  std::string unknown_surface = " \xe2\x81\x87 ";  // what the unknown token is in text
  bool add_dummy_prefix = true;
  bool remove_extra_whitespaces = true;
  bool escape_whitespaces = true;
};

// Which byte a piece of that kind stands for.
std::uint8_t byte_of(const SentencepieceModel::Piece& piece);

// Throws UsageError that begins with `origin` where the model is damaged, or needs what is not supported: the
// library itself does not look at all of it, and is led out of its memory by a damaged map of characters.
SentencepieceModel read_sentencepiece(std::string_view bytes, const std::string& origin);

}  // namespace hydrajob::tokenizer
