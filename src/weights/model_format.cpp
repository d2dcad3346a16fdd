#include "weights/model_format.hpp"

#include <fmt/format.h>

#include "base/digest.hpp"

namespace hydrajob::weights {

std::string model_digest(const Architecture& architecture, DType dtype,
                         const std::vector<TensorInfo>& tensors,
                         const std::vector<std::uint64_t>& checksums) {
  std::string text = to_yaml(architecture) + std::string(name_of(dtype)) + '\n';
  for (std::size_t i = 0; i < tensors.size(); ++i) {
    text +=
        fmt::format("{} {} {} {:016x}\n", tensors[i].name, tensors[i].rows, tensors[i].cols, checksums[i]);
  }
  return digest128(text);
}

}  // namespace hydrajob::weights
