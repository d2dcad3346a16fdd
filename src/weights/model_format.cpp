#include "weights/model_format.hpp"

#include <fmt/format.h>

#include "base/digest.hpp"

namespace hydrajob::weights {

std::uint64_t tensor_checksum(const std::vector<std::uint64_t>& range_checksums) {
  return digest64(range_checksums.data(), range_checksums.size() * sizeof(std::uint64_t));
}

std::string model_digest(const std::string& architecture, DType dtype, const std::vector<TensorInfo>& tensors,
                         const std::vector<std::uint64_t>& checksums) {
  std::string text = architecture + std::string(name_of(dtype)) + '\n';
  for (std::size_t i = 0; i < tensors.size(); ++i) {
    text +=
        fmt::format("{} {} {} {:016x}\n", tensors[i].name, tensors[i].rows, tensors[i].cols, checksums[i]);
  }
  return digest128(text);
}

}  // namespace hydrajob::weights
