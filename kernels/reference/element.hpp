// Elements of a tensor whose type is known at run time.
#pragma once

#include <cstdint>

#include "base/bf16.hpp"
#include "base/dtype.hpp"

namespace hydrajob::reference {

inline float load(const void* tensor, std::int64_t index, DType dtype) {
  return dtype == DType::f32 ? static_cast<const float*>(tensor)[index]
                             : static_cast<float>(static_cast<const Bf16*>(tensor)[index]);
}

inline void store(void* tensor, std::int64_t index, DType dtype, double value) {
  const auto rounded = static_cast<float>(value);
  if (dtype == DType::f32) {
    static_cast<float*>(tensor)[index] = rounded;
  } else {
    static_cast<Bf16*>(tensor)[index] = Bf16(rounded);
  }
}

}  // namespace hydrajob::reference
