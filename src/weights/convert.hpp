// Element type conversion of whole arrays.
#pragma once

#include <cmath>
#include <cstddef>
#include <cstdint>
#include <cstring>

#include "base/element.hpp"

namespace hydrajob {

// n elements of `from` at `source` become n of `to` at `target`, rounded to nearest even where `to` has fewer
// bits; beyond the range of f16 (65504) infinite. No overlap.
inline void convert(const void* source, DType from, void* target, DType to, std::int64_t n) {
  if (from == to) {
    std::memcpy(target, source, static_cast<std::size_t>(n) * size_of(to));
    return;
  }
  with_element(from, [&](auto given) {
    with_element(to, [&](auto wanted) {
      const auto* in = static_cast<const decltype(given)*>(source);
      auto* out = static_cast<decltype(wanted)*>(target);
      for (std::int64_t i = 0; i < n; ++i) out[i] = decltype(wanted)(static_cast<float>(in[i]));
    });
  });
}

// The same. False where a finite element has become infinite, as f16.
[[nodiscard]] inline bool convert_in_range(const void* source, DType from, void* target, DType to,
                                           std::int64_t n) {
  convert(source, from, target, to, n);
  if (from == to || to != DType::f16) return true;
  const auto* out = static_cast<const F16*>(target);
  bool infinite = false;
  for (std::int64_t i = 0; i < n; ++i) infinite |= (out[i].bits & 0x7fffu) == 0x7c00u;
  if (!infinite) return true;
  return with_element(from, [&](auto given) {
    const auto* in = static_cast<const decltype(given)*>(source);
    for (std::int64_t i = 0; i < n; ++i) {
      if (std::isinf(static_cast<float>(out[i])) && std::isfinite(static_cast<float>(in[i]))) return false;
    }
    return true;
  });
}

}  // namespace hydrajob
