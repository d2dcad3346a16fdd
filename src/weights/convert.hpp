// Element type conversion of whole arrays.
#pragma once

#include <cstddef>
#include <cstdint>
#include <cstring>

#include "base/bf16.hpp"
#include "base/dtype.hpp"

namespace hydrajob {

// n elements of `from` at `source` become n of `to` at `target`; bf16 is rounded to nearest even. No overlap.
inline void convert(const void* source, DType from, void* target, DType to, std::int64_t n) {
  if (from == to) {
    std::memcpy(target, source, static_cast<std::size_t>(n) * size_of(to));
  } else if (to == DType::f32) {
    const auto* in = static_cast<const Bf16*>(source);
    auto* out = static_cast<float*>(target);
    for (std::int64_t i = 0; i < n; ++i) out[i] = static_cast<float>(in[i]);
  } else {
    const auto* in = static_cast<const float*>(source);
    auto* out = static_cast<Bf16*>(target);
    for (std::int64_t i = 0; i < n; ++i) out[i] = Bf16(in[i]);
  }
}

}  // namespace hydrajob
