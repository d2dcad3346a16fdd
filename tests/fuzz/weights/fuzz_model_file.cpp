// Any bytes are a model file or are refused with one message; whatever a file says of itself, its tensors and
// its text can be read or are refused.
#include <cstdlib>
#include <functional>
#include <vector>

#include "base/error.hpp"
#include "fuzz/weights/target.hpp"
#include "weights/weight_source.hpp"

namespace hydrajob::test {
namespace {

bool is_done(const std::function<void()>& action) {
  try {
    action();
    return true;
  } catch (const UsageError& error) {
    if (!is_one_line(error.what())) std::abort();
    return false;
  }
}

bool is_whole(WeightSource& model) {
  bool whole = is_done([&] { model.text(); });
  for (const TensorInfo& tensor : tensors_of(model.architecture())) {
    whole &= is_done([&] {
      std::vector<float> values(static_cast<std::size_t>(tensor.rows * tensor.cols));
      model.read(tensor, {0, tensor.rows}, DType::f32, values.data());
    });
  }
  return whole;
}

}  // namespace

bool is_read(const std::uint8_t* data, std::size_t size) {
  const InputFile file(data, size);
  bool whole = false;
  return is_done([&] { whole = is_whole(*open_model_file(file.path(), 1)); }) && whole;
}

}  // namespace hydrajob::test
