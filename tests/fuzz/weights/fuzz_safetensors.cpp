// Any bytes are a safetensors file or are refused with one message; a file's tensors lie within it.
#include <cstdlib>
#include <vector>

#include "base/error.hpp"
#include "fuzz/weights/target.hpp"
#include "weights/safetensors.hpp"

namespace hydrajob::test {

bool is_read(const std::uint8_t* data, std::size_t size) {
  const InputFile file(data, size);
  try {
    const weights::SafetensorsFile tensors(file.path());
    for (const auto& [name, tensor] : tensors.tensors()) {
      if (tensor.offset > size || tensor.bytes > size - tensor.offset) std::abort();
      std::vector<std::byte> values(tensor.bytes);
      tensors.read(tensor.offset, values.size(), values.data());
    }
    return true;
  } catch (const UsageError& error) {
    if (!is_one_line(error.what())) std::abort();
    return false;
  }
}

}  // namespace hydrajob::test
