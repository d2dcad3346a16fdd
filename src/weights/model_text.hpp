// What a model needs beside its weights to make text of tokens and tokens of text.
#pragma once

#include <cstdint>
#include <filesystem>
#include <optional>
#include <string>
#include <vector>

#include "config/architecture.hpp"

namespace hydrajob {

// A tokenizer as its makers publish it, byte for byte.
struct TokenizerFile {
  std::string kind;   // as make_tokenizer() takes it
  std::string bytes;  // the whole file
};

// Special tokens, and how the model's makers would sample.
struct GenerationDefaults {
  std::int32_t bos_id = 1;
  std::vector<std::int32_t> eos_ids = {2};  // each of them ends a text
  std::optional<std::int32_t> pad_id;
  std::optional<double> temperature;  // 0 or more
  std::optional<double> top_p;        // above 0, at most 1

  bool operator==(const GenerationDefaults&) const = default;
};

struct ModelText {
  std::optional<TokenizerFile> tokenizer;
  GenerationDefaults generation;
};

// Of a model of which nothing else is known.
ModelText text_of(const Architecture& architecture);

// Of a model file, or a folder of one a rank; text_of() its architecture where it holds nothing of the kind.
// Throws UsageError where the file cannot be read or the tokenizer is damaged. Not for several threads at
// once: HDF5 is not.
ModelText read_model_text(const std::filesystem::path& model_file);

}  // namespace hydrajob
