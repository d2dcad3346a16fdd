// "normalizer", "pre_tokenizer" and "decoder": what happens to the text around the model.
#include <fmt/format.h>

#include "tokenizer/tokenizer_json_parts.hpp"

namespace hydrajob::tokenizer {
namespace {

// What ByteLevel cuts by where it is told to cut: GPT-2's words.
constexpr const char* gpt2_pattern =
    R"('s|'t|'re|'ve|'m|'ll|'d| ?\p{L}+| ?\p{N}+| ?[^\s\p{L}\p{N}]+|\s+(?!\S)|\s+)";

TextStep read_replace(const JsonNode& node) {
  const JsonNode pattern = node.at("pattern");
  if (pattern.find("Regex")) pattern.wrong("a String: nothing else is supported");
  TextStep step{TextStep::Kind::replace, pattern.at("String").text(), node.at("content").text()};
  if (step.from.empty()) pattern.wrong("a String that is not empty");
  return step;
}

// The older form has "add_prefix_space" in place of "prepend_scheme".
void read_metaspace(const JsonNode& node, PreTokenizer& steps) {
  const std::string mark = node.text("replacement", "▁");
  const std::string scheme =
      node.text("prepend_scheme", node.boolean("add_prefix_space", true) ? "always" : "never");
  if (node.boolean("split", true)) node.wrong("\"split\": false: nothing else is supported");
  steps.marks.push_back({TextStep::Kind::replace, " ", mark});
  if (scheme == "always") {
    steps.marks.push_back({TextStep::Kind::begin, "", mark});
  } else if (scheme == "first") {
    steps.marks.push_back({TextStep::Kind::begin_of_all, "", mark});
  } else if (scheme != "never") {
    node.at("prepend_scheme").wrong("always, first or never");
  }
}

PreTokenizer::Split read_split(const JsonNode& node) {
  const JsonNode pattern = node.at("pattern");
  if (pattern.find("String")) pattern.wrong("a Regex: nothing else is supported");
  // With "Isolated" a match is a word, and so is what is between two: "invert" changes nothing then.
  if (node.at("behavior").text() != "Isolated")
    node.at("behavior").wrong("Isolated: nothing else is supported");
  const JsonNode regex = pattern.at("Regex");
  return {regex.text(), regex.place()};
}

void read_byte_level(const JsonNode& node, bool alone, PreTokenizer& steps) {
  steps.byte_level = true;
  steps.add_prefix_space = node.boolean("add_prefix_space", true);
  // Each word of the steps before would get a space of its own.
  if (steps.add_prefix_space && !alone) node.at("add_prefix_space").wrong("false behind other steps");
  if (node.boolean("use_regex", true)) steps.splits.push_back({gpt2_pattern, node.place()});
}

PreTokenizer::Split read_digits(const JsonNode& node) {
  return {node.boolean("individual_digits", false) ? R"(\p{N})" : R"(\p{N}+)", node.place()};
}

void read_pre_tokenizer_step(const JsonNode& node, bool alone, PreTokenizer& steps) {
  const std::string type = node.at("type").text();
  if (steps.byte_level) node.wrong("nothing behind ByteLevel");
  if (type == "ByteLevel") return read_byte_level(node, alone, steps);
  if (type == "Split") return steps.splits.push_back(read_split(node));
  if (type == "Digits") return steps.splits.push_back(read_digits(node));
  if (type != "Metaspace") unsupported(node, "ByteLevel, Split, Digits, Metaspace or Sequence");
  if (!alone) node.wrong("Metaspace alone");
  read_metaspace(node, steps);
}

int read_strip(const JsonNode& node) {
  if (node.text("content", " ") != " ") node.at("content").wrong("a space");
  if (node.at("stop").id() != 0) node.at("stop").wrong("0");
  const JsonNode start = node.at("start");
  if (start.id() > 100) start.wrong("at most 100");
  return start.id();
}

}  // namespace

std::vector<TextStep> read_normalizer(const OptionalNode& node) {
  std::vector<TextStep> steps;
  for (const JsonNode& step : components(node, "normalizers")) {
    const std::string type = step.at("type").text();
    if (type == "Prepend") {
      steps.push_back({TextStep::Kind::prepend, "", step.at("prepend").text()});
    } else if (type == "Replace") {
      steps.push_back(read_replace(step));
    } else if (type == "NFC") {
      steps.push_back({TextStep::Kind::compose, "", ""});
    } else {
      unsupported(step, "NFC, Prepend, Replace or Sequence");
    }
  }
  return steps;
}

PreTokenizer read_pre_tokenizer(const OptionalNode& node) {
  PreTokenizer steps;
  const std::vector<JsonNode> list = components(node, "pretokenizers");
  for (const JsonNode& step : list) read_pre_tokenizer_step(step, list.size() == 1, steps);
  return steps;
}

// The order matters: tokens are replaced one by one, then bytes are joined, then the whole text is stripped.
Decoder read_decoder(const JsonNode& node) {
  Decoder decoder;
  bool fused = false;
  const std::vector<JsonNode> list = components(node, "decoders");
  for (const JsonNode& step : list) {
    const std::string type = step.at("type").text();
    if (type == "ByteLevel" && list.size() == 1) {
      decoder.byte_level = true;
    } else if (type == "Replace" && !decoder.byte_fallback && !fused) {
      const TextStep replace = read_replace(step);
      decoder.replacements.emplace_back(replace.from, replace.to);
    } else if (type == "ByteFallback" && !fused) {
      decoder.byte_fallback = true;
    } else if (type == "Fuse") {
      fused = true;
    } else if (type == "Strip" && fused && decoder.strip == 0) {
      decoder.strip = read_strip(step);
    } else {
      unsupported(step, "ByteLevel alone, or Replace, ByteFallback, Fuse and Strip in this order");
    }
  }
  return decoder;
}

}  // namespace hydrajob::tokenizer
