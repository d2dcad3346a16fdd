#include "tokenizer/tokenizer_json.hpp"

#include <set>

#include <fmt/format.h>

#include "base/error.hpp"
#include "base/json_text.hpp"
#include "base/printable.hpp"
#include "tokenizer/tokenizer_json_parts.hpp"

namespace hydrajob::tokenizer {
namespace {

AddedToken read_added_token(const JsonNode& node) {
  AddedToken token;
  token.id = node.at("id").id();
  token.content = node.at("content").text();
  token.special = node.boolean("special", false);
  token.normalized = node.boolean("normalized", !token.special);
  if (token.content.empty()) node.at("content").wrong("text");
  for (const char* key : {"single_word", "lstrip", "rstrip"}) node.expect_false(key);
  return token;
}

std::vector<AddedToken> read_added_tokens(const JsonNode& root) {
  std::vector<AddedToken> tokens;
  const auto list = root.find("added_tokens");
  if (!list) return tokens;
  std::set<std::string> contents;
  std::set<TokenId> ids;
  for (const JsonNode& node : list->list()) {
    tokens.push_back(read_added_token(node));
    if (!ids.insert(tokens.back().id).second) node.at("id").wrong("an id that no other added token has");
    if (!contents.insert(tokens.back().content).second) {
      node.at("content").wrong("text that no other added token has");
    }
  }
  return tokens;
}

// A token that both lists have must have one id, and an id one token.
void check_ids(const TokenizerJson& file, const JsonNode& root) {
  std::unordered_map<TokenId, std::string_view> token_of;
  for (const auto& [token, id] : file.model.ids) token_of.emplace(id, token);
  for (const AddedToken& added : file.added) {
    const auto by_content = file.model.ids.find(added.content);
    const auto by_id = token_of.find(added.id);
    const bool known = by_content != file.model.ids.end();
    if (known ? by_content->second == added.id : by_id == token_of.end()) continue;
    throw UsageError(fmt::format("{}: added token '{}' has id {}, which model.vocab gives {}", root.place(),
                                 printable(added.content), added.id,
                                 known ? "as " + std::to_string(by_content->second)
                                       : fmt::format("to '{}'", printable(std::string(by_id->second)))));
  }
}

class Template {
 public:
  explicit Template(const JsonNode& node) : special_(node.find("special_tokens")) {
    for (const JsonNode& item : node.at("single").list()) add(item);
    if (!text_there_) node.at("single").wrong("the text among its items");
  }

  std::vector<TokenId> before, after;

 private:
  void add(const JsonNode& item) {
    if (const auto sequence = item.find("Sequence")) {
      if (text_there_ || sequence->text("id", "A") != "A") item.wrong("one text");
      text_there_ = true;
      return;
    }
    const std::string name = item.at("SpecialToken").at("id").text();
    if (!special_) item.wrong("special_tokens to be there");
    std::vector<TokenId>& ids = text_there_ ? after : before;
    for (const JsonNode& id : special_->at(name.c_str()).at("ids").list()) ids.push_back(id.id());
  }

  OptionalNode special_;
  bool text_there_ = false;
};

void read_post_processor(const JsonNode& root, TokenizerJson& file) {
  for (const JsonNode& node : components(root.find("post_processor"), "processors")) {
    const std::string type = node.at("type").text();
    if (type == "ByteLevel") continue;  // offsets only
    if (type != "TemplateProcessing") unsupported(node, "ByteLevel or TemplateProcessing");
    Template around(node);
    file.before.insert(file.before.begin(), around.before.begin(), around.before.end());
    file.after.insert(file.after.end(), around.after.begin(), around.after.end());
  }
}

}  // namespace

std::vector<JsonNode> components(const OptionalNode& node, const char* list) {
  if (!node) return {};
  if (node->at("type").text() != "Sequence") return {*node};
  return node->at(list).list();
}

void unsupported(const JsonNode& node, const char* supported) {
  node.at("type").wrong(fmt::format("{}: nothing else is supported", supported));
}

// "truncation" and "padding" are about batches of another program: transformers sets them anew at every call.
TokenizerJson read_tokenizer_json(std::string_view text, const std::string& origin) {
  const nlohmann::json parsed = parse_json_object(text, origin);
  const JsonNode root(parsed, origin, ": ");
  TokenizerJson file;
  file.model = read_model(root.at("model"));
  file.added = read_added_tokens(root);
  check_ids(file, root);
  file.normalizer = read_normalizer(root.find("normalizer"));
  file.pre_tokenizer = read_pre_tokenizer(root.find("pre_tokenizer"));
  file.decoder = read_decoder(root.at("decoder"));
  if (file.pre_tokenizer.byte_level != file.decoder.byte_level) {
    throw UsageError(origin + ": ByteLevel in one of pre_tokenizer and decoder, expected it in both or none");
  }
  read_post_processor(root, file);
  return file;
}

}  // namespace hydrajob::tokenizer
