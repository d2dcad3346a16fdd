// What reading alone costs: the bytes of a rank's shard by plain requests, into memory that is used again,
// with nothing done to them. What loading is measured against.
#pragma once

#include <cstddef>
#include <cstdint>
#include <filesystem>
#include <string>
#include <vector>

#include "base/dtype.hpp"
#include "weights/file_mapping.hpp"

namespace hydrajob {

// Where a model file holds what a rank loads, in the order in which it does.
struct ShardRanges {
  std::string file;
  std::vector<weights::FileRange> ranges;
  DType dtype = DType::f32;  // of the file
  std::uint64_t bytes = 0;   // of all ranges
};

// Throws UsageError as open_model_file() does.
ShardRanges shard_ranges(const std::filesystem::path& model, int rank, int degree);

// Reads them all, by so many threads. Throws UsageError.
void read_plainly(const ShardRanges& shard, int threads, std::size_t request_bytes);

// Has the system forget what it holds of the file, which nobody maps. Throws UsageError where it keeps it: a
// file system in memory does.
void drop_from_page_cache(const ShardRanges& shard);

}  // namespace hydrajob
