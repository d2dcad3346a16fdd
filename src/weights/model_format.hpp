// Names and constants of the model file, shared by its reader and its writer. docs/model-file.md describes
// the file.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "base/dtype.hpp"
#include "weights/weight_source.hpp"

namespace hydrajob::weights {

inline constexpr const char* format_name = "hydrajob-model";
inline constexpr std::int64_t format_version = 1;
inline constexpr std::int64_t checksum_ranges = 64;  // of a tensor's rows, at most
inline constexpr std::int64_t most_parts = 4096;     // that a model is split into

// A tensor's rows are hashed in up to 64 nearly equal ranges, so that the shards of 2, 4, … 64 ranks are
// whole ranges.
inline std::int64_t range_count(std::int64_t rows) {
  return rows < checksum_ranges ? rows : checksum_ranges;
}
inline RowRange checksum_range(std::int64_t rows, std::int64_t index) {
  const std::int64_t n = range_count(rows);
  return {rows * index / n, rows * (index + 1) / n};
}

// The range that holds a row.
inline std::int64_t range_of_row(std::int64_t rows, std::int64_t row) {
  const std::int64_t n = range_count(rows);
  std::int64_t index = row * n / rows;
  while (checksum_range(rows, index).end <= row) ++index;
  return index;
}

inline std::size_t bytes_of(const TensorInfo& tensor, DType dtype) {
  return static_cast<std::size_t>(tensor.rows) * static_cast<std::size_t>(tensor.cols) * size_of(dtype);
}

// Of a model that is split over files, one a rank: which of them a file is.
struct ModelPart {
  int rank = 0;
  int degree = 1;
  std::string model_digest;  // of the whole model, in one file
};

inline std::string rank_file_name(int rank) {
  return "rank" + std::to_string(rank) + ".h5";
}

// The tensors of a part, with the rows that it holds.
inline std::vector<TensorInfo> tensors_of_part(const Architecture& architecture, int rank, int degree) {
  std::vector<TensorInfo> tensors = tensors_of(architecture);
  for (TensorInfo& tensor : tensors) tensor.rows = shard_of(tensor, architecture, rank, degree).count();
  return tensors;
}

// A tensor's checksum: the digest of its ranges' digests.
std::uint64_t tensor_checksum(const std::vector<std::uint64_t>& range_checksums);

// Of the whole file: the architecture's text as it stands in the file, the dtype, and names, shapes and
// checksums of all tensors.
std::string model_digest(const std::string& architecture, DType dtype, const std::vector<TensorInfo>& tensors,
                         const std::vector<std::uint64_t>& checksums);

}  // namespace hydrajob::weights
