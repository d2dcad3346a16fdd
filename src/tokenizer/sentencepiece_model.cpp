#include "tokenizer/sentencepiece_model.hpp"

#include <algorithm>
#include <cmath>
#include <set>

#include <fmt/format.h>

#include "base/error.hpp"
#include "base/printable.hpp"
#include "base/utf8.hpp"
#include "tokenizer/protobuf.hpp"

namespace hydrajob::tokenizer {
namespace {

using Model = SentencepieceModel;

// Field numbers of sentencepiece_model.proto.
enum ModelField {
  pieces_field = 1,
  trainer_field = 2,
  normalizer_field = 3,
  self_test_field = 4,
  denormalizer_field = 5
};
enum PieceField { text_field = 1, score_field = 2, kind_field = 3 };
enum TrainerField { algorithm_field = 3, suffix_field = 24, byte_fallback_field = 35, surface_field = 44 };
enum NormalizerField {
  name_field = 1,
  charsmap_field = 2,
  prefix_field = 3,
  extra_field = 4,
  escape_field = 5
};

Model::Kind kind_of(const ProtobufFields& field) {
  const std::uint64_t kind = field.varint();
  if (kind < 1 || kind > 6) field.wrong(fmt::format("a piece of kind {}, expected 1 to 6", kind));
  return static_cast<Model::Kind>(kind);
}

Model::Piece read_piece(std::string_view message, const std::string& place, std::size_t at) {
  Model::Piece piece;
  ProtobufFields field(message, place, at);
  while (field.next()) {
    if (field.number() == text_field) piece.text = field.bytes();
    if (field.number() == score_field) piece.score = field.number32();
    if (field.number() == kind_field) piece.kind = kind_of(field);
  }
  return piece;
}

// Releases of the library differ in which of two equally good unigram segmentations they take.
void expect_bpe(const ProtobufFields& field) {
  constexpr int bpe = 2;
  if (field.varint() != bpe) field.wrong(fmt::format("model type {}, expected BPE (2)", field.varint()));
}

void read_trainer(std::string_view message, const std::string& place, std::size_t at, Model& model) {
  ProtobufFields field(message, place, at);
  while (field.next()) {
    if (field.number() == algorithm_field) {
      expect_bpe(field);
      model.is_bpe = true;
    }
    if (field.number() == suffix_field) model.space_is_suffix = field.boolean();
    if (field.number() == byte_fallback_field) model.byte_fallback = field.boolean();
    if (field.number() == surface_field) model.unknown_surface = field.bytes();
  }
}

// The library reads the map as it stands there, without looking where it leads.
void refuse_charsmap(const ProtobufFields& field, std::string_view name) {
  if (field.bytes().empty()) return;
  field.wrong(fmt::format("normalizer '{}': expected 'identity', one without a map of characters",
                          printable(std::string(name))));
}

void read_normalizer(std::string_view message, const std::string& place, std::size_t at, Model& model) {
  std::string_view name;
  ProtobufFields field(message, place, at);
  while (field.next()) {
    if (field.number() == name_field) name = field.bytes();
    if (field.number() == charsmap_field) refuse_charsmap(field, name);
    if (field.number() == prefix_field) model.add_dummy_prefix = field.boolean();
    if (field.number() == extra_field) model.remove_extra_whitespaces = field.boolean();
    if (field.number() == escape_field) model.escape_whitespaces = field.boolean();
  }
}

void read_denormalizer(std::string_view message, const std::string& place, std::size_t at) {
  ProtobufFields field(message, place, at);
  while (field.next()) {
    if (field.number() == charsmap_field) refuse_charsmap(field, "denormalizer");
  }
}

Model read_fields(std::string_view bytes, const std::string& origin) {
  Model model;
  ProtobufFields field(bytes, origin);
  while (field.next()) {
    switch (field.number()) {
      case pieces_field:
        model.pieces.push_back(
            read_piece(field.bytes(), fmt::format("{}: piece {}", origin, model.pieces.size()), field.at()));
        break;
      case trainer_field:
        read_trainer(field.bytes(), origin + ": trainer_spec", field.at(), model);
        break;
      case normalizer_field:
        read_normalizer(field.bytes(), origin + ": normalizer_spec", field.at(), model);
        break;
      case denormalizer_field:
        read_denormalizer(field.bytes(), origin + ": denormalizer_spec", field.at());
        break;
      default:
        break;
    }
  }
  return model;
}

std::string byte_piece(int byte) {
  return fmt::format("<0x{:02X}>", byte);
}

void check_pieces(const Model& model, const std::string& origin) {
  std::set<std::string_view> seen;
  for (std::size_t id = 0; id < model.pieces.size(); ++id) {
    const Model::Piece& piece = model.pieces[id];
    const auto wrong = [&](const std::string& what) {
      throw UsageError(fmt::format("{}: piece {} '{}': {}", origin, id, printable(piece.text), what));
    };
    if (piece.text.empty()) wrong("expected text");
    if (!is_utf8(piece.text)) wrong("expected UTF-8");
    if (piece.text.find('\0') != std::string::npos) wrong("expected no byte 0");
    if (!std::isfinite(piece.score)) wrong("its score is not a number");
    if (!seen.insert(piece.text).second) wrong("stands there twice");
  }
}

void check_kinds(const Model& model, const std::string& origin) {
  std::set<std::string_view> bytes;
  int unknown = 0;
  for (const Model::Piece& piece : model.pieces) {
    if (piece.kind == Model::Kind::unknown) ++unknown;
    if (piece.kind == Model::Kind::byte) bytes.insert(piece.text);
  }
  if (unknown != 1) throw UsageError(fmt::format("{}: {} unknown pieces, expected 1", origin, unknown));
  if (!model.byte_fallback && !bytes.empty()) {
    throw UsageError(fmt::format("{}: pieces of bytes, but no byte_fallback", origin));
  }
  for (int byte = 0; model.byte_fallback && byte < 256; ++byte) {
    if (bytes.erase(byte_piece(byte)) == 0) {
      throw UsageError(fmt::format("{}: byte_fallback, but no piece '{}'", origin, byte_piece(byte)));
    }
  }
  if (!bytes.empty()) {
    throw UsageError(fmt::format("{}: '{}' is no byte, expected <0x00> to <0xFF>", origin,
                                 printable(std::string(*bytes.begin()))));
  }
}

}  // namespace

// <0x00> to <0xFF>, which check_kinds saw to.
std::uint8_t byte_of(const Model::Piece& piece) {
  return static_cast<std::uint8_t>(std::stoi(piece.text.substr(3, 2), nullptr, 16));
}

SentencepieceModel read_sentencepiece(std::string_view bytes, const std::string& origin) {
  Model model = read_fields(bytes, origin);
  if (model.pieces.empty()) throw UsageError(origin + ": no pieces, expected a sentencepiece model");
  if (!model.is_bpe) throw UsageError(origin + ": trainer_spec: model type unigram (1), expected BPE (2)");
  check_pieces(model, origin);
  check_kinds(model, origin);
  return model;
}

}  // namespace hydrajob::tokenizer
