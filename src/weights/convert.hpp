// Element type conversion of whole arrays.
#pragma once

#include <cstddef>
#include <cstdint>
#include <cstring>

#include "base/element.hpp"

namespace hydrajob {

// n elements of `from` at `source` become n of `to` at `target`, rounded to nearest even where `to` has fewer
// bits; beyond f16's range they become infinite. No overlap.
inline void convert(const void* source, DType from, void* target, DType to, std::int64_t n) {
  if (from == to) {
    std::memcpy(target, source, static_cast<std::size_t>(n) * size_of(to));
    return;
  }
  with_element(from, [&](auto wide) {
    with_element(to, [&](auto narrow) {
      const auto* in = static_cast<const decltype(wide)*>(source);
      auto* out = static_cast<decltype(narrow)*>(target);
      for (std::int64_t i = 0; i < n; ++i) out[i] = decltype(narrow)(static_cast<float>(in[i]));
    });
  });
}

}  // namespace hydrajob
