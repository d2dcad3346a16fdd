// IEEE 754 binary16. Conversion rounds to nearest even, to subnormals and infinity too; NaN stays NaN.
#pragma once

#include <bit>
#include <cstdint>

namespace hydrajob {

struct F16 {
  std::uint16_t bits = 0;

  F16() = default;
  explicit F16(float value) : bits(round(value)) {}
  explicit operator float() const {
    constexpr std::uint32_t exponent = 0x7c00u << 13, rebias = (127u - 15u) << 23;
    std::uint32_t u = (bits & 0x7fffu) << 13;
    const std::uint32_t e = u & exponent;
    u += rebias;
    if (e == exponent) {  // infinity or NaN
      u += rebias;
    } else if (e == 0) {  // subnormal: the float that it is added to has the last place of binary16's smallest
      constexpr std::uint32_t smallest_normal = (127u - 14u) << 23;
      u = std::bit_cast<std::uint32_t>(std::bit_cast<float>(u + (1u << 23)) -
                                       std::bit_cast<float>(smallest_normal));
    }
    return std::bit_cast<float>(u | (bits & 0x8000u) << 16);
  }

 private:
  static std::uint16_t round(float value) {
    const auto u = std::bit_cast<std::uint32_t>(value);
    const std::uint32_t sign = u >> 16 & 0x8000u, magnitude = u & 0x7fffffffu;
    return static_cast<std::uint16_t>(sign | round_magnitude(magnitude));
  }
  static std::uint32_t round_magnitude(std::uint32_t u) {
    constexpr std::uint32_t infinite = 255u << 23, smallest_normal = (127u - 14u) << 23;
    constexpr std::uint32_t overflow = ((127u + 16u) << 23) - (1u << 12);  // 65520: halfway beyond the largest
    if (u > infinite) return 0x7e00u;
    if (u >= overflow) return 0x7c00u;
    if (u < smallest_normal) {  // added to 0.5, a float's last place is that of binary16's subnormals
      return std::bit_cast<std::uint32_t>(std::bit_cast<float>(u) + 0.5f) - std::bit_cast<std::uint32_t>(0.5f);
    }
    return (u - ((127u - 15u) << 23) + 0xfffu + (u >> 13 & 1u)) >> 13;
  }
};
static_assert(sizeof(F16) == 2);

}  // namespace hydrajob
