// Rows of a tensor from a source into a file, hashed on the way.
#pragma once

#include <cstddef>
#include <cstdint>
#include <functional>
#include <utility>
#include <vector>

#include "base/digest.hpp"
#include "base/dtype.hpp"
#include "weights/output_file.hpp"
#include "weights/weight_source.hpp"

namespace hydrajob::weights {

class TensorCopy {
 public:
  // `copied` is told of each block's bytes once they are in the file.
  TensorCopy(WeightSource& source, DType dtype, std::function<void(std::size_t)> copied)
      : source_(source), dtype_(dtype), copied_(std::move(copied)) {}

  // `slab`: the tensor's rows that the file holds from `offset` on. Returns the checksums of the slab's row
  // ranges. Throws UsageError.
  std::vector<std::uint64_t> copy(const TensorInfo& tensor, RowRange slab, const OutputFile& file,
                                  std::uint64_t offset);

  // Of the whole tensor's row ranges; copies nothing.
  std::vector<std::uint64_t> checksums_of(const TensorInfo& tensor);

 private:
  using Take = std::function<void(std::size_t first_byte, std::size_t bytes)>;

  // Reads the slab's rows into block_, some at a time, and has `take` take them each time.
  std::vector<std::uint64_t> read(const TensorInfo& tensor, RowRange slab, const Take& take);
  void add_to_checksums(RowRange rows, std::int64_t n, std::size_t row_bytes,
                        std::vector<std::uint64_t>& checksums);

  WeightSource& source_;
  DType dtype_;
  std::function<void(std::size_t)> copied_;
  std::vector<std::byte> block_;  // at least
  Digest64 digest_;               // of the range that is being read
};

}  // namespace hydrajob::weights
