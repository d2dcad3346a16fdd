#include "weights/tensor_copy.hpp"

#include <algorithm>

#include "weights/model_format.hpp"

namespace hydrajob::weights {
namespace {

// Copied at once: stays in a core's cache until it is written.
constexpr std::size_t block_bytes = 512 << 10;
// … and this many rows, since they may be columns of the source: whole cache lines of those.
constexpr std::int64_t least_rows = 64;

}  // namespace

std::vector<std::uint64_t> TensorCopy::copy(const TensorInfo& tensor, RowRange slab, const OutputFile& file,
                                            std::uint64_t offset) {
  auto checksums = read(tensor, slab, [&](std::size_t first_byte, std::size_t bytes) {
    file.write(block_.data(), bytes, offset + first_byte);
    copied_(bytes);
  });
  const std::size_t row = static_cast<std::size_t>(tensor.cols) * size_of(dtype_);
  file.write_out(offset, static_cast<std::size_t>(slab.count()) * row);
  return checksums;
}

std::vector<std::uint64_t> TensorCopy::checksums_of(const TensorInfo& tensor) {
  return read(tensor, {0, tensor.rows}, [](std::size_t, std::size_t) {});
}

std::vector<std::uint64_t> TensorCopy::read(const TensorInfo& tensor, RowRange slab, const Take& take) {
  const std::size_t row = static_cast<std::size_t>(tensor.cols) * size_of(dtype_);
  const std::int64_t n = slab.count();
  const std::int64_t step = std::max(static_cast<std::int64_t>(block_bytes / row), least_rows);
  block_.resize(std::max(block_.size(), static_cast<std::size_t>(std::min(step, n)) * row));
  std::vector<std::uint64_t> checksums;
  digest_.reset();
  for (RowRange rows{0, 0}; rows.end < n;) {  // counted from the slab's first
    rows = {rows.end, std::min(rows.end + step, n)};
    source_.read(tensor, {slab.begin + rows.begin, slab.begin + rows.end}, dtype_, block_.data());
    add_to_checksums(rows, n, row, checksums);
    take(static_cast<std::size_t>(rows.begin) * row, static_cast<std::size_t>(rows.count()) * row);
  }
  return checksums;
}

// `rows`: of a slab of n, that are in block_. A range may begin in one block and end in another.
void TensorCopy::add_to_checksums(RowRange rows, std::int64_t n, std::size_t row_bytes,
                                  std::vector<std::uint64_t>& checksums) {
  for (std::int64_t at = rows.begin; at < rows.end;) {
    const std::int64_t range_end = checksum_range(n, static_cast<std::int64_t>(checksums.size())).end;
    const std::int64_t end = std::min(range_end, rows.end);
    digest_.add(block_.data() + static_cast<std::size_t>(at - rows.begin) * row_bytes,
                static_cast<std::size_t>(end - at) * row_bytes);
    at = end;
    if (at < range_end) break;
    checksums.push_back(digest_.value());
    digest_.reset();
  }
}

}  // namespace hydrajob::weights
