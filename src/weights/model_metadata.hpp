// What a model file says of itself, read with HDF5 and checked before any weight is read.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "base/dtype.hpp"
#include "config/architecture.hpp"
#include "weights/model_format.hpp"
#include "weights/weight_source.hpp"

namespace hydrajob::weights {

struct TensorEntry {
  TensorInfo info;
  std::uint64_t offset = 0;              // of its first byte in the file; (rows, cols) row-major from there
  std::vector<std::uint64_t> checksums;  // of its row ranges
};

struct ModelMetadata {
  Architecture architecture;
  DType dtype = DType::f32;
  std::string digest;
  std::optional<ModelPart> part;     // none: the whole model
  std::vector<TensorEntry> tensors;  // as tensors_of() lists them, of a part with its rows
};

// Throws UsageError that names the file, the tensor where it is about one, what was found and what was
// expected: when the file is none of ours, of another version, truncated, or when what it says of itself is
// damaged or does not fit its architecture. Not for several threads at once: HDF5 is not.
ModelMetadata read_model_metadata(const std::string& path);

// Whether a file says that it is a model, damaged or not: one that may be replaced.
bool is_model_file(const std::string& path);

}  // namespace hydrajob::weights
