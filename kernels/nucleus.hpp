// The arithmetic of the nucleus (top-p) that every backend must share exactly: the order of tokens, their
// masses, and the digits of the radix select (kernels.hpp, nucleus_histogram). Nucleus sampling: Holtzman et
// al., arXiv 1904.09751.
#pragma once

#include <algorithm>
#include <array>
#include <bit>
#include <cmath>
#include <cstdint>

#include "base/host_device.hpp"

namespace hydrajob {

constexpr int nucleus_passes = 3;
constexpr std::int64_t nucleus_digits = 2048;  // of one pass: 11, 11 and 10 bits
constexpr std::array<int, nucleus_passes> nucleus_shift{21, 10, 0};
constexpr double nucleus_unit = 1099511627776.0;  // 2^40: masses are counted in units of 2^-40

// Rises with the logit: the float's bits, sign bit flipped, or all bits of a negative one.
constexpr std::uint32_t nucleus_key(float logit) {
  const auto bits = std::bit_cast<std::uint32_t>(logit);
  return (bits & 0x80000000u) != 0 ? ~bits : bits | 0x80000000u;
}

constexpr std::uint32_t nucleus_digit(std::uint32_t key, int pass) {
  return pass == 0 ? key >> 21 : (pass == 1 ? (key >> 10) & 0x7ffu : key & 0x3ffu);
}

// The bits of a key that passes before this one have settled.
constexpr std::uint32_t nucleus_settled(int pass) {
  return pass == 0 ? 0u : (pass == 1 ? ~0u << 21 : ~0u << 10);
}

// exp((logit - maximum) / temperature), in [0, 1], in whole units; none for NaN.
constexpr std::uint64_t nucleus_units(double mass) {
  return mass > 0 ? static_cast<std::uint64_t>(mass * nucleus_unit + 0.5) : 0;
}

// Units that the nucleus must reach: at least one, at most all.
HJ_HOST_DEVICE inline std::uint64_t nucleus_wanted(std::uint64_t total, float top_p) {
  const double share = std::ceil(static_cast<double>(top_p) * static_cast<double>(total));
  if (share >= static_cast<double>(total)) return total;
  return std::max<std::uint64_t>(static_cast<std::uint64_t>(share), 1);
}

}  // namespace hydrajob
