// A YAML document as plain nodes that know where they stand. The only reader of YAML: everything above sees
// Node.
#pragma once

#include <string>
#include <string_view>
#include <vector>

#include "config/place.hpp"

namespace hydrajob {

struct Node {
  enum class Kind { null, scalar, sequence, map };
  struct Entry;

  Kind kind = Kind::null;
  std::string scalar;          // variables already expanded
  std::vector<Node> items;     // of a sequence
  std::vector<Entry> entries;  // of a map, in the order written; keys are distinct
  Place place;

  bool is_scalar() const { return kind == Kind::scalar; }
  bool is_sequence() const { return kind == Kind::sequence; }
  bool is_map() const { return kind == Kind::map; }
  const Node* find(std::string_view key) const;  // null when absent
  Node* find(std::string_view key);
  void erase(std::string_view key);
};

struct Node::Entry {
  std::string key;
  Place place;  // of the key
  Node value;
};

// One document; variables expanded in scalars (not in keys, not in comments). `origin` is how places name the
// text. Throws UsageError for text that is no YAML, for duplicate or non-scalar keys, for more than one
// document, and for aliases that unfold without end.
Node parse_document(const std::string& text, const std::string& origin);

// What a person calls a node: "a map", "a list", "'abc'", "nothing".
std::string describe(const Node& node);

}  // namespace hydrajob
