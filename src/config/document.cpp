#include "config/document.hpp"

#include <algorithm>
#include <cstddef>

#include <fmt/format.h>
#include <yaml-cpp/yaml.h>

#include "config/variables.hpp"

namespace hydrajob {
namespace {

// yaml-cpp shares the nodes of aliases; unfolded, a few lines could fill the memory.
constexpr std::size_t max_nodes = 1'000'000;
constexpr int max_depth = 32;

class Converter {
 public:
  explicit Converter(const std::string& origin) : origin_(origin) {}

  Place place(const YAML::Mark& mark) const {
    if (mark.is_null()) return {origin_};
    return {fmt::format("{}:{}:{}", origin_, mark.line + 1, mark.column + 1)};
  }

  Node convert(const YAML::Node& from, int depth) {
    Node node;
    node.place = place(from.Mark());
    if (depth > max_depth || ++n_nodes_ > max_nodes)
      fail_at(node.place, "nested too deeply, or aliases without end");
    if (from.IsScalar()) {
      node.kind = Node::Kind::scalar;
      node.scalar = expand_variables(from.Scalar(), node.place);
    } else if (from.IsSequence()) {
      node.kind = Node::Kind::sequence;
      for (const auto& item : from) node.items.push_back(convert(item, depth + 1));
    } else if (from.IsMap()) {
      node.kind = Node::Kind::map;
      for (const auto& entry : from) add_entry(node, entry.first, convert(entry.second, depth + 1));
    }
    return node;
  }

 private:
  void add_entry(Node& map, const YAML::Node& key, Node value) {
    const Place at = place(key.Mark());
    if (!key.IsScalar()) fail_at(at, "a key must be a word");
    const auto same = [&](const Node::Entry& entry) { return entry.key == key.Scalar(); };
    const auto before = std::find_if(map.entries.begin(), map.entries.end(), same);
    if (before != map.entries.end()) {
      fail_at(at, fmt::format("'{}' is given twice: first at {}", key.Scalar(), before->place.text));
    }
    map.entries.push_back({key.Scalar(), at, std::move(value)});
  }

  const std::string& origin_;
  std::size_t n_nodes_ = 0;
};

}  // namespace

const Node* Node::find(std::string_view key) const {
  const auto at =
      std::find_if(entries.begin(), entries.end(), [&](const Entry& entry) { return entry.key == key; });
  return at == entries.end() ? nullptr : &at->value;
}

Node* Node::find(std::string_view key) {
  return const_cast<Node*>(std::as_const(*this).find(key));
}

void Node::erase(std::string_view key) {
  std::erase_if(entries, [&](const Entry& entry) { return entry.key == key; });
}

Node parse_document(const std::string& text, const std::string& origin) {
  Converter converter(origin);
  try {
    const std::vector<YAML::Node> documents = YAML::LoadAll(text);
    if (documents.size() > 1) {
      fail_at(converter.place(documents[1].Mark()), "a second document: expected one a file");
    }
    if (documents.empty() || documents[0].IsNull()) fail_at({origin}, "empty: expected a map of keys");
    return converter.convert(documents[0], 0);
  } catch (const YAML::Exception& e) {
    std::string hint;
    // Inside [ ], YAML takes the brace of an unquoted ${NAME} for a map.
    if (text.find("${") != std::string::npos) hint = " (inside [ ] write \"${NAME}\" in quotes)";
    fail_at(converter.place(e.mark), fmt::format("not YAML: {}{}", e.msg, hint));
  }
}

std::string describe(const Node& node) {
  switch (node.kind) {
    case Node::Kind::scalar:
      return fmt::format("'{}'", node.scalar);
    case Node::Kind::sequence:
      return "a list";
    case Node::Kind::map:
      return "a map";
    case Node::Kind::null:
      break;
  }
  return "nothing";
}

}  // namespace hydrajob
