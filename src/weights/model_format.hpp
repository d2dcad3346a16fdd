// Names and constants of the model file, shared by its reader and its writer. docs/model-file.md describes
// the file.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "base/dtype.hpp"
#include "config/architecture.hpp"
#include "weights/weight_source.hpp"

namespace hydrajob::weights {

inline constexpr const char* format_name = "hydrajob-model";
inline constexpr std::int64_t format_version = 1;
inline constexpr std::int64_t checksum_ranges = 64;  // of a tensor's rows, at most

// A tensor's rows are hashed in up to 64 nearly equal ranges, so that the shards of 2, 4, … 64 ranks are
// whole ranges.
inline std::int64_t range_count(std::int64_t rows) {
  return rows < checksum_ranges ? rows : checksum_ranges;
}
inline RowRange checksum_range(std::int64_t rows, std::int64_t index) {
  const std::int64_t n = range_count(rows);
  return {rows * index / n, rows * (index + 1) / n};
}

// Of the whole file: names, shapes, dtype and checksums of all tensors, and the architecture.
std::string model_digest(const Architecture& architecture, DType dtype,
                         const std::vector<TensorInfo>& tensors, const std::vector<std::uint64_t>& checksums);

}  // namespace hydrajob::weights
