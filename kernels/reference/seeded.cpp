// Seeded weights, element by element.
#include "base/seeded.hpp"

#include <cstddef>
#include <vector>

#include "kernels/reference/element.hpp"
#include "kernels/reference/reference_kernels.hpp"

namespace hydrajob::reference {
namespace {

// Into the elements of target from `begin` on.
void fill(const SeededPart& part, void* target, std::int64_t begin, DType dtype) {
  for (std::int64_t i = 0; i < part.count; ++i) {
    store(target, begin + i, dtype, seeded_element(part, part.first + i));
  }
}

}  // namespace

bool ReferenceKernels::fill_seeded(const SeededPart& part, void* target, DType dtype, Stream&) {
  fill(part, target, 0, dtype);
  return true;
}

std::unique_ptr<PackedWeight> ReferenceKernels::pack_seeded(std::span<const SeededPart> parts,
                                                            WeightLayout layout, std::int64_t out,
                                                            std::int64_t in, std::int64_t expected_rows,
                                                            DType dtype) {
  std::vector<std::byte> weight(static_cast<std::size_t>(out * in) * size_of(dtype));
  std::int64_t begin = 0;
  for (const SeededPart& part : parts) {
    fill(part, weight.data(), begin, dtype);
    begin += part.count;
  }
  return pack(weight.data(), layout, out, in, expected_rows, dtype);
}

}  // namespace hydrajob::reference
