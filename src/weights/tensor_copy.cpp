#include "weights/tensor_copy.hpp"

#include <algorithm>

#include "base/digest.hpp"
#include "weights/model_format.hpp"

namespace hydrajob::weights {
namespace {

// Copied at once, unless a checksum range is larger: it stays in a core's cache until it is written.
constexpr std::size_t block_bytes = 1 << 20;

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
  const std::int64_t n = range_count(slab.count());
  const std::size_t range = static_cast<std::size_t>((slab.count() + n - 1) / n) * row;
  const auto step = static_cast<std::int64_t>(std::max<std::size_t>(1, block_bytes / range));
  std::vector<std::uint64_t> checksums;
  for (std::int64_t first = 0; first < n; first += step) {
    const std::int64_t last = std::min(first + step, n);
    const RowRange rows{checksum_range(slab.count(), first).begin,
                        checksum_range(slab.count(), last - 1).end};  // counted from the slab's first
    const std::size_t bytes = static_cast<std::size_t>(rows.count()) * row;
    if (block_.size() < bytes) block_.resize(bytes);
    source_.read(tensor, {slab.begin + rows.begin, slab.begin + rows.end}, dtype_, block_.data());
    for (std::int64_t i = first; i < last; ++i) {
      const RowRange part = checksum_range(slab.count(), i);
      checksums.push_back(digest64(block_.data() + static_cast<std::size_t>(part.begin - rows.begin) * row,
                                   static_cast<std::size_t>(part.count()) * row));
    }
    take(static_cast<std::size_t>(rows.begin) * row, bytes);
  }
  return checksums;
}

}  // namespace hydrajob::weights
