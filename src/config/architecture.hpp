// The shape of a Llama-family model: what config.json says at Hugging Face, in this project's names.
#pragma once

#include <cstdint>
#include <filesystem>
#include <string>

namespace hydrajob {

struct RopeScaling {
  enum class Kind { none, linear, llama3 };
  Kind kind = Kind::none;
  double factor = 1.0;
  // llama3 only (transformers' modeling_rope_utils: _compute_llama3_parameters)
  double low_frequency_factor = 1.0;
  double high_frequency_factor = 4.0;
  std::int64_t original_max_positions = 8192;

  bool operator==(const RopeScaling&) const = default;
};

struct Architecture {
  std::string name;
  std::int64_t n_layers = 0;
  std::int64_t hidden = 0;
  std::int64_t n_heads = 0;
  std::int64_t n_kv_heads = 0;
  std::int64_t head_dim = 0;      // hidden / n_heads unless given
  std::int64_t intermediate = 0;  // MLP width
  std::int64_t vocab = 0;
  std::int64_t max_positions = 0;
  double rope_theta = 10000.0;
  RopeScaling rope_scaling;
  double rms_eps = 1e-5;
  bool tied_embeddings = false;
  std::int32_t bos_id = 1;
  std::int32_t eos_id = 2;

  std::int64_t group_size() const { return n_heads / n_kv_heads; }  // query heads a KV head
  bool operator==(const Architecture&) const = default;
};
// YAML as in configs/models/*.yaml. Throws UsageError with file:line:column.
Architecture load_architecture(const std::filesystem::path& path);
Architecture parse_architecture(const std::string& yaml, const std::string& origin);
// The text that parse_architecture reads back to an equal value.
std::string to_yaml(const Architecture& architecture);

}  // namespace hydrajob
