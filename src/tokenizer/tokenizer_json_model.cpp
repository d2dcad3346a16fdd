// "model": the vocabulary and the merges.
#include <unordered_set>

#include <fmt/format.h>

#include "base/error.hpp"
#include "base/printable.hpp"
#include "tokenizer/tokenizer_json_parts.hpp"

namespace hydrajob::tokenizer {
namespace {

using nlohmann::json;

std::unordered_map<std::string, TokenId> read_vocabulary(const JsonNode& node) {
  const json::object_t& entries = node.object();
  std::unordered_map<std::string, TokenId> ids;
  std::unordered_set<TokenId> seen;
  ids.reserve(entries.size());
  seen.reserve(entries.size());
  for (const auto& entry : entries) {
    const auto wrong = [&](const std::string& expected) {
      JsonNode(entry.second, fmt::format("{}: '{}'", node.place(), printable(entry.first))).wrong(expected);
    };
    const auto id = id_of(entry.second);
    if (!id) wrong(fmt::format("a token id from 0 to {}", largest_id));
    if (!seen.insert(*id).second) wrong("an id that no other token has");
    ids.emplace(entry.first, *id);
  }
  if (ids.empty()) node.wrong("tokens");
  return ids;
}

// "a b", or ["a", "b"] in files since tokenizers 0.20: there a token may hold a space.
std::pair<std::string, std::string> read_merge(const json& value, const std::string& place,
                                               std::size_t index) {
  if (value.is_string()) {
    const auto& text = value.get_ref<const std::string&>();
    const std::size_t space = text.find(' ');
    if (space != std::string::npos && text.find(' ', space + 1) == std::string::npos) {
      return {text.substr(0, space), text.substr(space + 1)};
    }
  } else if (value.is_array() && value.size() == 2 && value[0].is_string() && value[1].is_string()) {
    return {value[0].get<std::string>(), value[1].get<std::string>()};
  }
  JsonNode(value, fmt::format("{}[{}]", place, index)).wrong("two tokens");
}

std::vector<std::pair<std::string, std::string>> read_merges(const JsonNode& node) {
  std::vector<std::pair<std::string, std::string>> merges;
  merges.reserve(node.array().size());
  for (const json& value : node.array()) merges.push_back(read_merge(value, node.place(), merges.size()));
  return merges;
}

void expect_empty(const JsonNode& node, const char* key) {
  if (!node.text(key, "").empty()) node.at(key).wrong("null: nothing else is supported");
}

}  // namespace

BpeModel read_model(const JsonNode& node) {
  if (node.text("type", "BPE") != "BPE") unsupported(node, "BPE");
  if (const auto dropout = node.find("dropout")) dropout->wrong("null: nothing else is supported");
  expect_empty(node, "continuing_subword_prefix");
  expect_empty(node, "end_of_word_suffix");
  BpeModel model;
  model.fuse_unknown = node.boolean("fuse_unk", false);
  model.byte_fallback = node.boolean("byte_fallback", false);
  model.ignore_merges = node.boolean("ignore_merges", false);
  model.ids = read_vocabulary(node.at("vocab"));
  model.merges = read_merges(node.at("merges"));
  if (const auto unknown = node.find("unk_token")) {
    const auto found = model.ids.find(unknown->text());
    if (found == model.ids.end()) unknown->wrong("a token of model.vocab");
    model.unknown = found->second;
  }
  return model;
}

}  // namespace hydrajob::tokenizer
