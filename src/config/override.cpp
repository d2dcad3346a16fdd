#include "config/override.hpp"

#include <algorithm>
#include <cstddef>
#include <utility>

#include <fmt/format.h>

#include "config/parameters.hpp"
#include "config/variables.hpp"

namespace hydrajob {
namespace {

void place_all(Node& node, const Place& place) {
  node.place = place;
  for (Node& item : node.items) place_all(item, place);
}

Node parse_override_value(const std::string& text, const Place& place) {
  Node value;
  if (text.starts_with('[')) {
    value = parse_document(text, place.text);
  } else {
    value.kind = Node::Kind::scalar;
    value.scalar = expand_variables(text, place);
  }
  place_all(value, place);
  return value;
}

void replace(Node& map, const std::string& key, const Node& value) {
  if (Node* found = map.find(key)) {
    *found = value;
  } else {
    map.entries.push_back({key, value.place, value});
  }
}

// A map, or a list of maps, without the key; maps that had nothing else go.
void take_out(Node& owner, const std::string& list_key, const std::string& key) {
  Node* list = owner.find(list_key);
  if (list == nullptr) return;
  list->erase(key);
  for (Node& item : list->items) item.erase(key);
  std::erase_if(list->items, [](const Node& item) { return item.is_map() && item.entries.empty(); });
  if (list->entries.empty() && list->items.empty()) owner.erase(list_key);
}

// Rules that have nothing left to set go.
void take_out_of_rules(Node& layer, const std::string& key) {
  Node* rules = layer.find("when");
  if (rules == nullptr) return;
  const auto sets_nothing = [&](Node& rule) {
    take_out(rule, "set", key);
    return rule.is_map() && rule.find("set") == nullptr;
  };
  if (rules->is_map()) {
    if (sets_nothing(*rules)) layer.erase("when");
    return;
  }
  std::erase_if(rules->items, sets_nothing);
  if (rules->items.empty()) layer.erase("when");
}

// layer: the file's defaults, or one block.
void override_layer(Node& layer, const std::string& key, const Node& value, bool is_file) {
  const std::string rival(rival_of(key));
  if (!rival.empty()) {
    layer.erase(rival);
    take_out(layer, "zip", rival);
    take_out_of_rules(layer, rival);
  }
  take_out(layer, "zip", key);
  take_out_of_rules(layer, key);
  if (is_file || layer.find(key) != nullptr) replace(layer, key, value);
}

}  // namespace

void apply_override(Node& file, const Assignment& assignment) {
  const std::string& key_and_value = assignment.text;
  const std::size_t equal = key_and_value.find('=');
  if (equal == std::string::npos || equal == 0) {
    fail_at({assignment.given_by + " " + key_and_value}, assignment.given_by == "--set"
                                                             ? "expected key=value, such as --set batch=16"
                                                             : "expected key=value, such as batch=16");
  }
  const std::string key = key_and_value.substr(0, equal);
  if (const char last = key.back(); last == '<' || last == '>' || last == '!')
    fail_at({assignment.given_by + " " + key_and_value},
            fmt::format("'{}=' is no assignment: expected key=value", last));
  const Place place{assignment.names_the_key ? assignment.given_by : assignment.given_by + " " + key};
  const bool of_file = key == "name" || key == "store";
  if (!of_file && find_parameter(key) == nullptr) {
    auto known = parameter_names();
    known.insert(known.end(), {"name", "store"});
    fail_at(place, unknown_name("key", key, known));
  }
  const Node value = parse_override_value(key_and_value.substr(equal + 1), place);
  if (of_file) return replace(file, key, value);
  override_layer(file, key, value, true);
  Node* blocks = file.find("blocks");
  if (blocks == nullptr) return;
  for (Node& block : blocks->items) override_layer(block, key, value, false);
}

}  // namespace hydrajob
