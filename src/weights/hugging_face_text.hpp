// The tokenizer and the generation defaults of a folder as Hugging Face publishes models.
#pragma once

#include <filesystem>

#include "config/architecture.hpp"
#include "weights/model_text.hpp"

namespace hydrajob::weights {

// tokenizer.model, or tokenizer.json where there is none. Of generation_config.json, else of config.json: the
// special ids, temperature and top_p; else the architecture's ids. None of the files need be there. Throws
// UsageError that names the file, the key, its value and what was expected.
ModelText read_hugging_face_text(const std::filesystem::path& folder, const Architecture& architecture);

}  // namespace hydrajob::weights
