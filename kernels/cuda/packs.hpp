// Whether elements may be moved several at a time.
#pragma once

#include <cstddef>
#include <cstdint>
#include <initializer_list>

namespace hydrajob::cuda {

// Whether all pointers and sizes (in elements) allow packs of `n` elements.
inline bool packs_of(std::int64_t n, std::size_t element, std::initializer_list<std::int64_t> sizes,
                     std::initializer_list<const void*> pointers) {
  for (const std::int64_t size : sizes) {
    if (size % n != 0) return false;
  }
  for (const void* pointer : pointers) {
    if (reinterpret_cast<std::uintptr_t>(pointer) % (static_cast<std::size_t>(n) * element) != 0)
      return false;
  }
  return true;
}

}  // namespace hydrajob::cuda
