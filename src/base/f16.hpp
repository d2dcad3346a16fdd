// IEEE 754 binary16. Conversion is to the bit what processors do: it rounds to nearest even, to subnormals
// and infinity too; NaN stays NaN, and is quiet. Free of branches, so that compilers vectorise loops of it.
#pragma once

#include <bit>
#include <cstdint>

namespace hydrajob {

struct F16 {
  std::uint16_t bits = 0;

  F16() = default;
  explicit F16(float value) : bits(round(value)) {}
  explicit operator float() const { return widened(bits); }

 private:
  static constexpr std::uint32_t smallest_normal = (127u - 14u) << 23;  // as a float's bits

  static float widened(std::uint32_t half) {
    constexpr std::uint32_t rebias = (127u - 15u) << 23, one_exponent = 1u << 23, infinity = 31u << 23;
    const std::uint32_t u = (half & 0x7fffu) << 13, normal = u + rebias;
    // With the exponent of the smallest normal one, which is too much by just that number.
    const auto subnormal = std::bit_cast<std::uint32_t>(std::bit_cast<float>(normal + one_exponent) -
                                                        std::bit_cast<float>(smallest_normal));
    const std::uint32_t not_finite = (normal + rebias) | select(u > infinity, 1u << 22, 0);
    const std::uint32_t finite = select(u < one_exponent, subnormal, normal);
    return std::bit_cast<float>(select(u >= infinity, not_finite, finite) | (half & 0x8000u) << 16);
  }

  static std::uint16_t round(float value) {
    constexpr std::uint32_t infinity = 255u << 23, half = 126u << 23;
    constexpr std::uint32_t overflow =
        ((127u + 16u) << 23) - (1u << 12);  // 65520: halfway beyond the largest
    const auto bits = std::bit_cast<std::uint32_t>(value);
    const std::uint32_t u = bits & 0x7fffffffu;
    // Added to 0.5, a float's last place is that of binary16's subnormals.
    const std::uint32_t subnormal =
        std::bit_cast<std::uint32_t>(std::bit_cast<float>(u) + std::bit_cast<float>(half)) - half;
    const std::uint32_t normal = (u - ((127u - 15u) << 23) + 0xfffu + (u >> 13 & 1u)) >> 13;
    const std::uint32_t nan = 0x7e00u | (u >> 13 & 0x3ffu);
    const std::uint32_t finite = select(u < smallest_normal, subnormal, normal);
    const std::uint32_t magnitude = select(u > infinity, nan, select(u >= overflow, 0x7c00u, finite));
    return static_cast<std::uint16_t>((bits >> 16 & 0x8000u) | magnitude);
  }

  static std::uint32_t select(bool condition, std::uint32_t yes, std::uint32_t no) {
    const std::uint32_t mask = 0u - static_cast<std::uint32_t>(condition);
    return (yes & mask) | (no & ~mask);
  }
};
static_assert(sizeof(F16) == 2);

}  // namespace hydrajob
