#include "base/dtype.hpp"

#include <string>

#include "base/error.hpp"

namespace hydrajob {

DType parse_dtype(std::string_view name) {
  if (name == "f32") return DType::f32;
  if (name == "bf16") return DType::bf16;
  if (name == "f16") return DType::f16;
  throw UsageError("dtype '" + std::string(name) + "': expected f32, bf16 or f16");
}

}  // namespace hydrajob
