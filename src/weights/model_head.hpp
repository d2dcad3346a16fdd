// The head of a model file: everything in it but the values of its tensors.
#pragma once

#include <cstdint>
#include <filesystem>
#include <optional>
#include <string>
#include <vector>

#include "base/dtype.hpp"
#include "config/architecture.hpp"
#include "weights/model_format.hpp"
#include "weights/model_text.hpp"
#include "weights/weight_source.hpp"

namespace hydrajob::weights {

struct HeadContent {
  Architecture architecture;
  DType dtype = DType::f32;
  ModelText text;
  std::optional<ModelPart> part;                      // none: the whole model
  std::vector<TensorInfo> tensors;                    // of this file
  std::vector<std::vector<std::uint64_t>> checksums;  // of the row ranges of each; empty: not known yet
};

struct Head {
  std::string bytes;                   // the file's first ones
  std::uint64_t file_bytes = 0;        // of the whole file
  std::vector<std::uint64_t> offsets;  // of each tensor's first byte in the file
  std::uint64_t tokenizer_offset = 0;  // of the tokenizer's; 0 where there is none
};

// HDF5 makes the head in the file `scratch`, which is then removed: a file that it changes in place is none
// while it does so. Whatever the checksums, sizes and places are the same. Errors name `path`, which is where
// the head is to be. Throws UsageError.
Head make_head(const HeadContent& content, const std::filesystem::path& scratch, const std::string& path);

}  // namespace hydrajob::weights
