// Element type conversion of whole arrays.
#pragma once

#include <cmath>
#include <cstddef>
#include <cstdint>
#include <cstring>
#include <string>

#include "base/element.hpp"
#include "base/error.hpp"

namespace hydrajob {

// A finite value that the type asked for does not hold: the same again ends no better.
class BeyondRange : public UsageError {
 public:
  // `where`: a file and tensor.
  BeyondRange(const std::string& where, DType dtype)
      : UsageError(where + " has a value beyond the range of " + std::string(name_of(dtype)) +
                   (dtype == DType::f16 ? ": expected 65504 at most, or bf16 or f32" : ": expected f32")) {}
};

// n elements of `from` at `source` become n of `to` at `target`, rounded to nearest even where `to` has fewer
// bits; beyond its range (65504 of f16, 3.39e38 of bf16) infinite. No overlap.
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

// The same. False where a finite element has become infinite.
[[nodiscard]] inline bool convert_in_range(const void* source, DType from, void* target, DType to,
                                           std::int64_t n) {
  convert(source, from, target, to, n);
  if (from == to || to == DType::f32) return true;
  const std::uint32_t infinity = to == DType::f16 ? 0x7c00 : 0x7f80;
  const auto* out = static_cast<const std::uint16_t*>(target);
  bool infinite = false;
  for (std::int64_t i = 0; i < n; ++i) infinite |= (out[i] & 0x7fffu) == infinity;
  if (!infinite) return true;
  return with_element(from, [&](auto given) {
    const auto* in = static_cast<const decltype(given)*>(source);
    for (std::int64_t i = 0; i < n; ++i) {
      if ((out[i] & 0x7fffu) == infinity && std::isfinite(static_cast<float>(in[i]))) return false;
    }
    return true;
  });
}

}  // namespace hydrajob
