// A model's config.json as Hugging Face publishes it.
#pragma once

#include <filesystem>
#include <string>

#include "config/architecture.hpp"

namespace hydrajob::weights {

// Of LlamaForCausalLM (transformers' LlamaConfig). Sizes must be there; where the file is silent or says null
// of other keys, transformers' defaults hold, and the ids of the two special tokens are 1 and 2. Throws
// UsageError that names the file, the key, its value and what was expected: also for what the engine does not
// compute, as biases or other kinds of RoPE scaling.
Architecture read_hugging_face_config(const std::filesystem::path& path, const std::string& name);

}  // namespace hydrajob::weights
