#include "comm/short_float_sum.hpp"

#include <bit>

namespace hydrajob {
namespace {

float widen(std::uint16_t bits) {
  return std::bit_cast<float>(std::uint32_t{bits} << 16);
}

// Every NaN becomes the same one: which operand's payload the processor keeps depends on their order.
bool is_nan(std::uint32_t float_bits) {
  return (float_bits & 0x7fffffffu) > 0x7f800000u;
}

// As Bf16's conversion, but with a select in place of the branch, so that the compiler vectorises the loop.
std::uint16_t narrow(float value) {
  const auto u = std::bit_cast<std::uint32_t>(value);
  const std::uint32_t rounded = (u + 0x7fffu + ((u >> 16) & 1u)) >> 16;
  return static_cast<std::uint16_t>(is_nan(u) ? 0x7fc0u : rounded);
}

}  // namespace

void add(const Bf16* in, Bf16* inout, std::int64_t n) {
  for (std::int64_t i = 0; i < n; ++i) inout[i].bits = narrow(widen(in[i].bits) + widen(inout[i].bits));
}

void add(const F16* in, F16* inout, std::int64_t n) {
  for (std::int64_t i = 0; i < n; ++i) {
    const float sum = static_cast<float>(in[i]) + static_cast<float>(inout[i]);
    const std::uint16_t rounded = F16(sum).bits;
    inout[i].bits = is_nan(std::bit_cast<std::uint32_t>(sum)) ? std::uint16_t{0x7e00} : rounded;
  }
}

}  // namespace hydrajob
