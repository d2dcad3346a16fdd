#include "config/architecture.hpp"

#include <string_view>

#include <fmt/format.h>

#include "base/file.hpp"
#include "config/document.hpp"
#include "config/fields.hpp"
#include "config/variables.hpp"

namespace hydrajob {
namespace {

RopeScaling read_rope_scaling(const Node& map) {
  Fields fields(map, "rope_scaling");
  RopeScaling scaling;
  const std::string kind = fields.text("kind", "none");
  if (kind == "none") {
    scaling.kind = RopeScaling::Kind::none;
  } else if (kind == "linear") {
    scaling.kind = RopeScaling::Kind::linear;
    scaling.factor = fields.positive("factor");
  } else if (kind == "llama3") {
    scaling.kind = RopeScaling::Kind::llama3;
    scaling.factor = fields.positive("factor");
    scaling.low_frequency_factor = fields.positive("low_frequency_factor");
    scaling.high_frequency_factor = fields.positive("high_frequency_factor");
    scaling.original_max_positions = fields.integer("original_max_positions", 1);
  } else {
    fail_at(fields.place_of("kind"), unknown_name("kind", kind, {"none", "linear", "llama3"}));
  }
  fields.finish();
  return scaling;
}

void check_shape(const Architecture& a, const Fields& fields) {
  if (a.n_heads % a.n_kv_heads != 0) {
    fail_at(fields.place_of("n_kv_heads"),
            fmt::format("n_kv_heads: {} does not divide n_heads {}", a.n_kv_heads, a.n_heads));
  }
  if (a.head_dim % 2 != 0) {
    fail_at(fields.place_of("head_dim"),
            fmt::format("head_dim: {} is odd: rotary embeddings need pairs", a.head_dim));
  }
  if (a.bos_id >= a.vocab || a.eos_id >= a.vocab) {
    fail_at(fields.place_of(a.bos_id >= a.vocab ? "bos_id" : "eos_id"),
            fmt::format("bos_id {} and eos_id {} must lie below vocab {}", a.bos_id, a.eos_id, a.vocab));
  }
}

// hidden / n_heads where the file gives none.
std::int64_t read_head_dim(Fields& fields, const Architecture& a) {
  if (a.hidden % a.n_heads == 0) return fields.integer("head_dim", 2, a.hidden / a.n_heads);
  return fields.integer("head_dim", 2);
}

// As YAML text that reads back as the same.
std::string quoted(const std::string& text) {
  std::string result = "'";
  for (const char c : protect_variables(text)) result.append(c == '\'' ? 2 : 1, c);
  result += '\'';
  return result;
}

std::string_view name_of(RopeScaling::Kind kind) {
  return kind == RopeScaling::Kind::linear ? "linear" : "llama3";
}

}  // namespace

Architecture parse_architecture(const std::string& yaml, const std::string& origin) {
  const Node document = parse_document(yaml, origin);
  Fields fields(document, "architecture");
  Architecture a;
  a.name = fields.text("name", std::filesystem::path(origin).stem().string());
  a.n_layers = fields.integer("n_layers", 1);
  a.hidden = fields.integer("hidden", 1);
  a.n_heads = fields.integer("n_heads", 1);
  a.n_kv_heads = fields.integer("n_kv_heads", 1, a.n_heads);
  a.head_dim = read_head_dim(fields, a);
  a.intermediate = fields.integer("intermediate", 1);
  a.vocab = fields.integer("vocab", 1);
  a.max_positions = fields.integer("max_positions", 1);
  a.rope_theta = fields.positive("rope_theta", a.rope_theta);
  if (const Node* scaling = fields.take("rope_scaling")) a.rope_scaling = read_rope_scaling(*scaling);
  a.rms_eps = fields.positive("rms_eps", a.rms_eps);
  a.tied_embeddings = fields.boolean("tied_embeddings", a.tied_embeddings);
  a.bos_id = static_cast<std::int32_t>(fields.integer("bos_id", 0, a.bos_id));
  a.eos_id = static_cast<std::int32_t>(fields.integer("eos_id", 0, a.eos_id));
  fields.finish();
  check_shape(a, fields);
  return a;
}

Architecture load_architecture(const std::filesystem::path& path) {
  return parse_architecture(read_file(path), path.string());
}

std::string to_yaml(const Architecture& a) {
  std::string text = fmt::format(
      "name: {}\nn_layers: {}\nhidden: {}\nn_heads: {}\nn_kv_heads: {}\nhead_dim: {}\nintermediate: "
      "{}\nvocab: {}\n"
      "max_positions: {}\nrope_theta: {}\n",
      quoted(a.name), a.n_layers, a.hidden, a.n_heads, a.n_kv_heads, a.head_dim, a.intermediate, a.vocab,
      a.max_positions, a.rope_theta);
  const RopeScaling& scaling = a.rope_scaling;
  if (scaling.kind != RopeScaling::Kind::none) {
    text += fmt::format("rope_scaling:\n  kind: {}\n  factor: {}\n", name_of(scaling.kind), scaling.factor);
  }
  if (scaling.kind == RopeScaling::Kind::llama3) {
    text += fmt::format(
        "  low_frequency_factor: {}\n  high_frequency_factor: {}\n  original_max_positions: {}\n",
        scaling.low_frequency_factor, scaling.high_frequency_factor, scaling.original_max_positions);
  }
  text += fmt::format("rms_eps: {}\ntied_embeddings: {}\nbos_id: {}\neos_id: {}\n", a.rms_eps,
                      a.tied_embeddings, a.bos_id, a.eos_id);
  return text;
}

}  // namespace hydrajob
