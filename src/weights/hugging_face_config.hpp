// A model's config.json as Hugging Face publishes it.
#pragma once

#include <filesystem>
#include <string>

#include "config/architecture.hpp"

namespace hydrajob::weights {

// Of LlamaForCausalLM (transformers' LlamaConfig, whose defaults hold where the file is silent). Throws
// UsageError that names the file, the key, its value and what was expected: also for what the engine does not
// compute, as biases or other kinds of RoPE scaling.
Architecture read_hugging_face_config(const std::filesystem::path& path, const std::string& name);

}  // namespace hydrajob::weights
