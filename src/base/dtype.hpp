// Element types of weights, activations and the KV cache.
#pragma once

#include <array>
#include <cstddef>
#include <string_view>

namespace hydrajob {

enum class DType { f32, bf16, f16 };

inline constexpr std::array every_dtype{DType::f32, DType::bf16, DType::f16};

constexpr std::size_t size_of(DType t) {
  return t == DType::f32 ? 4 : 2;
}
constexpr std::string_view name_of(DType t) {
  return t == DType::f32 ? "f32" : t == DType::bf16 ? "bf16" : "f16";
}

// Throws UsageError for anything but "f32", "bf16" and "f16".
DType parse_dtype(std::string_view name);

}  // namespace hydrajob
