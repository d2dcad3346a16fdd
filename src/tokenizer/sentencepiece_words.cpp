#include "tokenizer/sentencepiece_words.hpp"

#include <algorithm>
#include <functional>
#include <unordered_map>

#include "base/utf8.hpp"
#include "tokenizer/words.hpp"

namespace hydrajob::tokenizer {
namespace {

using Model = SentencepieceModel;
using Kind = Model::Kind;

// Longer ones are taken apart at every character when a model is read, which a hostile file could make last.
constexpr std::size_t longest_piece = 512;  // bytes

// fits(character): of all of them.
template <typename Fits>
bool all_characters(std::string_view text, Fits fits) {
  while (!text.empty()) {
    const std::size_t length = utf8_step(text).length;
    if (!fits(text.substr(0, length))) return false;
    text.remove_prefix(length);
  }
  return true;
}

Alphabet alphabet_of(const Model& model) {
  Alphabet alphabet;
  for (std::size_t id = 0; id < model.pieces.size(); ++id) {
    const Model::Piece& piece = model.pieces[id];
    if (piece.kind == Kind::normal && is_character(piece.text)) {
      alphabet.insert(piece.text, static_cast<TokenId>(id));
    }
  }
  return alphabet;
}

// The library merges texts, whatever they are: a character that is no piece, too, and one that is the text of
// a control piece. Ids can stand for texts where all that merges is pieces of its own.
bool only_merges(const Model::Piece& piece, const Alphabet& alphabet) {
  switch (piece.kind) {
    case Kind::normal:
      return piece.text.size() <= longest_piece &&
             all_characters(piece.text, [&](std::string_view character) {
               return alphabet.find(character) != Alphabet::none;
             });
    case Kind::user_defined:
    case Kind::byte:
      return true;
    case Kind::unknown:
    case Kind::control:
      return !is_character(piece.text);
    case Kind::unused:  // merged, and cut up again
      return false;
  }
  return false;
}

// How many pieces have a better score: equal ones are equally good, wherever they stand in the file.
std::vector<std::uint32_t> ranks_of(const Model& model) {
  std::vector<float> scores;
  for (const Model::Piece& piece : model.pieces) scores.push_back(piece.score);
  std::sort(scores.begin(), scores.end(), std::greater<>());
  std::vector<std::uint32_t> ranks;
  for (const Model::Piece& piece : model.pieces) {
    const auto at = std::lower_bound(scores.begin(), scores.end(), piece.score, std::greater<>());
    ranks.push_back(static_cast<std::uint32_t>(at - scores.begin()));
  }
  return ranks;
}

// Any two pieces merge whose texts together are a piece.
MergeTable merges_of(const Model& model) {
  struct Pair {
    TokenId left, right;
    Merge merge;
  };
  std::unordered_map<std::string_view, TokenId> ids;
  for (std::size_t id = 0; id < model.pieces.size(); ++id) {
    if (model.pieces[id].kind == Kind::normal) ids.emplace(model.pieces[id].text, static_cast<TokenId>(id));
  }
  const std::vector<std::uint32_t> ranks = ranks_of(model);
  std::vector<Pair> pairs;
  for (const auto& [text, id] : ids) {
    for (std::size_t at = utf8_step(text).length; at < text.size(); at += utf8_step(text.substr(at)).length) {
      const auto left = ids.find(text.substr(0, at));
      if (left == ids.end()) continue;
      const auto right = ids.find(text.substr(at));
      if (right == ids.end()) continue;
      pairs.push_back({left->second, right->second, {ranks[static_cast<std::size_t>(id)], id}});
    }
  }
  MergeTable table(pairs.size());
  for (const Pair& pair : pairs) table.insert(pair.left, pair.right, pair.merge);
  return table;
}

}  // namespace

std::optional<SentencepieceWords> SentencepieceWords::of(const Model& model) {
  if (!model.byte_fallback) return {};  // neighbours that are unknown are one token there
  const Alphabet alphabet = alphabet_of(model);
  const auto fits = [&](const Model::Piece& piece) { return only_merges(piece, alphabet); };
  if (!std::all_of(model.pieces.begin(), model.pieces.end(), fits)) return {};
  return SentencepieceWords(model);
}

SentencepieceWords::SentencepieceWords(const Model& model)
    : alphabet_(alphabet_of(model)), bpe_(merges_of(model)) {
  for (std::size_t id = 0; id < model.pieces.size(); ++id) {
    const Model::Piece& piece = model.pieces[id];
    if (piece.kind == Kind::user_defined) symbols_.insert(piece.text, static_cast<TokenId>(id));
    if (piece.kind == Kind::byte) byte_ids_[byte_of(piece)] = static_cast<TokenId>(id);
  }
}

void SentencepieceWords::append(std::string_view word, std::vector<TokenId>& ids) {
  text_ = space_mark;
  for (const char byte : word) {
    if (byte == ' ') {
      text_ += space_mark;
    } else {
      text_ += byte;
    }
  }
  symbols_.split(
      text_, [&](std::string_view part) { append_merged(part, ids); },
      [&](TokenId id) { ids.push_back(id); });
}

void SentencepieceWords::append_merged(std::string_view text, std::vector<TokenId>& ids) {
  const std::size_t begin = ids.size();
  while (!text.empty()) {
    const std::string_view character = text.substr(0, utf8_step(text).length);
    if (const TokenId id = alphabet_.find(character); id != Alphabet::none) {
      ids.push_back(id);
    } else {
      for (const char byte : character) ids.push_back(byte_ids_[static_cast<unsigned char>(byte)]);
    }
    text.remove_prefix(character.size());
  }
  bpe_.merge(ids, begin);
}

}  // namespace hydrajob::tokenizer
