#include "tokenizer/sentencepiece.hpp"

#include <algorithm>
#include <sentencepiece_processor.h>
#include <utility>

#include <fmt/format.h>

#include "base/error.hpp"
#include "base/printable.hpp"
#include "tokenizer/sentencepiece_model.hpp"
#include "tokenizer/sentencepiece_words.hpp"
#include "tokenizer/text_steps.hpp"
#include "tokenizer/word_cache.hpp"
#include "tokenizer/words.hpp"

namespace hydrajob::tokenizer {
namespace {

using Model = SentencepieceModel;
using Kind = Model::Kind;

TokenText text_of(const Model::Piece& piece, const Model& model) {
  switch (piece.kind) {
    case Kind::control:
      return {TokenText::Kind::left_out, {}};
    case Kind::unknown:
      return {TokenText::Kind::bytes, model.unknown_surface};  // keeps its space where a text begins with it
    case Kind::byte:
      return {TokenText::Kind::bytes, std::string(1, static_cast<char>(byte_of(piece)))};
    default:
      break;
  }
  std::string text = piece.text;
  replace_all(text, space_mark, " ");
  return {TokenText::Kind::text, text};
}

DecodeTable decode_table(const Model& model) {
  DecodeTable table;
  table.damage = DecodeTable::Damage::byte;
  table.strip = model.add_dummy_prefix || model.remove_extra_whitespaces ? 1 : 0;
  table.strip_from =
      model.remove_extra_whitespaces ? DecodeTable::Strip::until_text : DecodeTable::Strip::first_token;
  for (const Model::Piece& piece : model.pieces) table.tokens.push_back(text_of(piece, model));
  return table;
}

std::optional<TokenId> if_there(int id) {
  return id >= 0 ? std::optional<TokenId>(id) : std::nullopt;
}

// As Hugging Face's LlamaTokenizer does: bos before every text, nothing after it. "<s>" in a text is text.
Vocabulary vocabulary_of(const Model& model, const sentencepiece::SentencePieceProcessor& processor) {
  Vocabulary vocabulary;
  for (const Model::Piece& piece : model.pieces) vocabulary.pieces.push_back(piece.text);
  vocabulary.decode = decode_table(model);
  vocabulary.bos = if_there(processor.bos_id());
  vocabulary.eos = if_there(processor.eos_id());
  if (vocabulary.bos) vocabulary.before = {*vocabulary.bos};
  return vocabulary;
}

// The id of "▁" where the text can be cut into words (words.hpp), and each encoded as a text of its own,
// before which the "▁" is put again that stood there. Nothing where it cannot.
std::optional<TokenId> word_mark(const Model& model) {
  if (!model.add_dummy_prefix || model.space_is_suffix || model.remove_extra_whitespaces ||
      !model.escape_whitespaces) {
    return {};
  }
  if (!words_stand_alone(model.pieces,
                         [](const Model::Piece& piece) { return std::string_view(piece.text); })) {
    return {};
  }
  const auto mark = std::find_if(model.pieces.begin(), model.pieces.end(), [](const Model::Piece& piece) {
    return piece.text == space_mark && (piece.kind == Kind::normal || piece.kind == Kind::user_defined);
  });
  if (mark == model.pieces.end()) return {};
  return static_cast<TokenId>(mark - model.pieces.begin());
}

class Sentencepiece : public Tokenizer {
 public:
  using Processor = std::unique_ptr<sentencepiece::SentencePieceProcessor>;

  Sentencepiece(const Model& model, Processor processor)
      : Tokenizer(vocabulary_of(model, *processor)),
        mark_(word_mark(model)),
        words_(mark_ ? SentencepieceWords::of(model) : std::nullopt),
        processor_(std::move(processor)) {}

 private:
  void append(std::string_view text, std::vector<TokenId>& ids) override {
    if (!mark_) {
      append_word(text, ids);
      return;
    }
    for (bool first = true; !text.empty(); first = false) {
      const std::size_t length = first_word(text, " ");
      // The library puts a space before the word; the text's own stands there behind the first word only.
      const std::string_view word = first ? text.substr(0, length) : text.substr(1, length - 1);
      if (word.empty()) {
        ids.push_back(*mark_);
      } else {
        append_word(word, ids);
      }
      text.remove_prefix(length);
    }
  }

  void append_word(std::string_view word, std::vector<TokenId>& ids) {
    if (const auto known = cache_.find(word)) {
      ids.insert(ids.end(), known->begin(), known->end());
      return;
    }
    const std::size_t begin = ids.size();
    if (words_) {
      words_->append(word, ids);
    } else {
      append_by_library(word, ids);
    }
    cache_.insert(word, std::span(ids).subspan(begin));
  }

  void append_by_library(std::string_view text, std::vector<TokenId>& ids) const {
    std::vector<int> encoded;
    const auto status = processor_->Encode(text, &encoded);
    if (!status.ok()) throw UsageError("sentencepiece: " + printable(status.ToString()));
    ids.insert(ids.end(), encoded.begin(), encoded.end());
  }

  std::optional<TokenId> mark_;              // where words are encoded alone
  std::optional<SentencepieceWords> words_;  // … and without the library
  Processor processor_;
  WordCache cache_;
};

}  // namespace

std::unique_ptr<Tokenizer> make_sentencepiece(std::string_view bytes, const std::string& origin) {
  const Model model = read_sentencepiece(bytes, origin);
  auto processor = std::make_unique<sentencepiece::SentencePieceProcessor>();
  const auto status = processor->LoadFromSerializedProto(bytes);
  if (!status.ok()) throw UsageError(fmt::format("{}: {}", origin, printable(status.ToString())));
  if (processor->GetPieceSize() != static_cast<int>(model.pieces.size())) {
    throw UsageError(fmt::format("{}: sentencepiece reads {} pieces, expected {}", origin,
                                 processor->GetPieceSize(), model.pieces.size()));
  }
  return std::make_unique<Sentencepiece>(model, std::move(processor));
}

}  // namespace hydrajob::tokenizer
