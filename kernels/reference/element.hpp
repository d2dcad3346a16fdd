// Elements of a tensor whose type is known at run time.
#pragma once

#include <cstdint>

#include "base/element.hpp"

namespace hydrajob::reference {

inline float load(const void* tensor, std::int64_t index, DType dtype) {
  return with_element(dtype, [&](auto element) {
    return static_cast<float>(static_cast<const decltype(element)*>(tensor)[index]);
  });
}

inline void store(void* tensor, std::int64_t index, DType dtype, double value) {
  with_element(dtype, [&](auto element) {
    using T = decltype(element);
    static_cast<T*>(tensor)[index] = static_cast<T>(static_cast<float>(value));
  });
}

}  // namespace hydrajob::reference
