#include "weights/hugging_face_config.hpp"

#include <cstdint>
#include <utility>
#include <vector>

#include <fmt/format.h>
#include <nlohmann/json.hpp>

#include "base/error.hpp"
#include "base/file.hpp"
#include "base/json_text.hpp"
#include "weights/json_fields.hpp"

namespace hydrajob::weights {
namespace {

using nlohmann::json;

// What the engine computes. Other classes have the same tensors and mean something else by them.
void check_kind(const JsonFields& fields) {
  const json* classes = fields.find("architectures");
  const bool llama = classes != nullptr && *classes == json::array({"LlamaForCausalLM"});
  if (classes != nullptr && !llama) fields.wrong("architectures", R"(["LlamaForCausalLM"])");
  if (classes == nullptr && fields.text("model_type", "") != "llama") {
    throw UsageError(fields.path() + ": neither 'architectures' nor 'model_type' says that it is a Llama");
  }
  if (fields.text("hidden_act", "silu") != "silu") fields.wrong("hidden_act", "\"silu\"");
  for (const char* bias : {"attention_bias", "mlp_bias"}) {
    if (fields.boolean(bias, false)) fields.wrong(bias, "false: the engine adds no biases");
  }
}

// `rope_type` since transformers 4.43, `type` before.
RopeScaling read_scaling(const JsonFields& fields) {
  RopeScaling scaling;
  const char* key = fields.find("rope_type") != nullptr ? "rope_type" : "type";
  const std::string kind = fields.text(key, fields.find("factor") != nullptr ? "" : "default");
  if (kind == "linear") {
    scaling.kind = RopeScaling::Kind::linear;
    scaling.factor = fields.positive("factor");
  } else if (kind == "llama3") {
    scaling.kind = RopeScaling::Kind::llama3;
    scaling.factor = fields.positive("factor");
    scaling.low_frequency_factor = fields.positive("low_freq_factor");
    scaling.high_frequency_factor = fields.positive("high_freq_factor");
    scaling.original_max_positions = fields.integer("original_max_position_embeddings");
    if (scaling.low_frequency_factor >= scaling.high_frequency_factor) {
      fields.wrong("low_freq_factor", "less than high_freq_factor");
    }
  } else if (kind.empty()) {
    fields.wrong("factor", "a 'rope_type' beside it");
  } else if (kind != "default") {
    fields.wrong(key, "\"default\", \"linear\" or \"llama3\"");
  }
  return scaling;
}

void check_whole_heads_rotate(const JsonFields& fields) {
  if (fields.positive("partial_rotary_factor", 1.0) != 1.0) fields.wrong("partial_rotary_factor", "1");
}

// Since transformers 5 all of RoPE stands in `rope_parameters`.
void read_rope(const JsonFields& fields, Architecture& a) {
  check_whole_heads_rotate(fields);
  a.rope_theta = fields.positive("rope_theta", 10000.0);
  const bool has_scaling = fields.find("rope_scaling") != nullptr;
  if (has_scaling && fields.find("rope_parameters") != nullptr) {
    fields.wrong("rope_parameters", "not both it and 'rope_scaling'");
  }
  const char* key = has_scaling ? "rope_scaling" : "rope_parameters";
  const json* object = fields.find(key);
  if (object == nullptr) return;
  if (!object->is_object()) fields.wrong(key, "an object");
  const JsonFields rope(*object, fields.path(), std::string(key) + ".");
  check_whole_heads_rotate(rope);
  a.rope_theta = rope.positive("rope_theta", a.rope_theta);
  a.rope_scaling = read_scaling(rope);
}

// Some models have several ends; the first is the one that ends a text.
std::int32_t token_id(const JsonFields& fields, const char* key, std::int32_t fallback) {
  const std::vector<std::int32_t> ids = fields.token_ids(key);
  return ids.empty() ? fallback : ids.front();
}

void check_shape(const JsonFields& fields, const Architecture& a) {
  if (a.n_heads % a.n_kv_heads != 0) {
    fields.wrong("num_key_value_heads", fmt::format("a divisor of num_attention_heads {}", a.n_heads));
  }
  if (a.head_dim % 2 != 0) {
    throw UsageError(
        fmt::format("{}: heads of {} dimensions: rotary embeddings need pairs", fields.path(), a.head_dim));
  }
  for (const auto& [key, id] : {std::pair("bos_token_id", a.bos_id), std::pair("eos_token_id", a.eos_id)}) {
    if (id >= a.vocab) {
      throw UsageError(
          fmt::format("{}: {} {}: expected below vocab_size {}", fields.path(), key, id, a.vocab));
    }
  }
}

}  // namespace

Architecture read_hugging_face_config(const std::filesystem::path& path, const std::string& name) {
  const json document = parse_json_object(read_file(path), path.string());
  const JsonFields fields(document, path.string());
  check_kind(fields);
  Architecture a;
  a.name = name;
  a.n_layers = fields.integer("num_hidden_layers");
  a.hidden = fields.integer("hidden_size");
  a.n_heads = fields.integer("num_attention_heads");
  a.n_kv_heads = fields.integer("num_key_value_heads", a.n_heads);
  if (fields.find("head_dim") == nullptr && a.hidden % a.n_heads != 0) {
    fields.wrong("hidden_size",
                 fmt::format("a multiple of num_attention_heads {}, or 'head_dim'", a.n_heads));
  }
  a.head_dim = fields.integer("head_dim", a.hidden / a.n_heads);
  a.intermediate = fields.integer("intermediate_size");
  a.vocab = fields.integer("vocab_size");
  a.max_positions = fields.integer("max_position_embeddings");
  a.rms_eps = fields.positive("rms_norm_eps", 1e-6);
  a.tied_embeddings = fields.boolean("tie_word_embeddings", false);
  a.bos_id = token_id(fields, "bos_token_id", 1);
  a.eos_id = token_id(fields, "eos_token_id", 2);
  read_rope(fields, a);
  check_shape(fields, a);
  return a;
}

}  // namespace hydrajob::weights
