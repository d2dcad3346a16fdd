// The parts of a tokenizer.json, each read by its own function. `node` is nothing where the part is null or
// absent.
#pragma once

#include <optional>
#include <vector>

#include "tokenizer/json_node.hpp"
#include "tokenizer/tokenizer_json.hpp"

namespace hydrajob::tokenizer {

using OptionalNode = std::optional<JsonNode>;

BpeModel read_model(const JsonNode& node);
std::vector<TextStep> read_normalizer(const OptionalNode& node);
PreTokenizer read_pre_tokenizer(const OptionalNode& node);
Decoder read_decoder(const JsonNode& node);

// A component, or those of a Sequence, in turn. `list`: the key that holds them.
std::vector<JsonNode> components(const OptionalNode& node, const char* list);

// Throws UsageError that names a component of a type that is not supported.
[[noreturn]] void unsupported(const JsonNode& node, const char* supported);

}  // namespace hydrajob::tokenizer
