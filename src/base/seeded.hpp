// Seeded values of tensors, as docs/model-file.md defines them ("Random weights"): their bits are the same
// wherever they are computed. Sources of the host that compute them are compiled with -ffp-contract=off.
#pragma once

#include <cstddef>
#include <cstdint>

#include "base/host_device.hpp"
#include "base/philox.hpp"

namespace hydrajob {

// Neighbouring elements of one tensor, uniform in centre ± half_width.
struct SeededPart {
  std::uint64_t seed = 0;
  std::uint64_t tensor = 0;  // digest64 of its name
  std::int64_t first = 0;    // element, counted over the whole tensor
  std::int64_t count = 0;    // elements
  float centre = 0;
  float half_width = 0;
};

// Of the tensor's elements 4 counter to 4 counter + 3.
constexpr PhiloxCounter seeded_words(const SeededPart& part, std::uint64_t counter) {
  return philox4x32({static_cast<std::uint32_t>(counter), static_cast<std::uint32_t>(counter >> 32),
                     static_cast<std::uint32_t>(part.tensor), static_cast<std::uint32_t>(part.tensor >> 32)},
                    philox_key(part.seed));
}

// Product and sum are each rounded: fused, they would give other bits.
HJ_HOST_DEVICE inline float seeded_value(const SeededPart& part, std::uint32_t word) {
  const float unit = 2.0f * uniform_open(word) - 1.0f;  // exact, fused or not
#ifdef __CUDA_ARCH__
  return __fadd_rn(__fmul_rn(unit, part.half_width), part.centre);
#else
  return unit * part.half_width + part.centre;
#endif
}

// Element `index` of the tensor.
HJ_HOST_DEVICE inline float seeded_element(const SeededPart& part, std::int64_t index) {
  const auto at = static_cast<std::uint64_t>(index);
  return seeded_value(part, seeded_words(part, at / 4)[static_cast<std::size_t>(at % 4)]);
}

}  // namespace hydrajob
