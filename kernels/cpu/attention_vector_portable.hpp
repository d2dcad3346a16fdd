// Four floats as the compiler's own vector type: any processor. See attention_tile.hpp.
#pragma once

#include <cstdint>
#include <cstring>

#include "base/bf16.hpp"
#include "base/f16.hpp"

namespace hydrajob::cpu {
namespace {

// Counts of elements are those of whole vectors: head_dim is a multiple of 8.
struct Portable {
  using Vec [[gnu::vector_size(16)]] = float;
  using Bits [[gnu::vector_size(16)]] = std::uint32_t;
  using Integers [[gnu::vector_size(16)]] = std::int32_t;
  using Halves [[gnu::vector_size(8)]] = std::uint16_t;
  static constexpr int width = 4;
  // 12 accumulators, 2 columns and one row of 16 registers (SSE2).
  static constexpr int tile_rows = 6;
  static constexpr int tile_columns = 2;

  static Vec zero() { return Vec{}; }
  static Vec set(float x) { return Vec{x, x, x, x}; }
  static Vec load(const float* p) {
    Vec x;
    std::memcpy(&x, p, sizeof x);
    return x;
  }
  static Vec load(const float* p, std::int64_t) { return load(p); }
  static Vec load(const Bf16* p, std::int64_t) {
    Halves x;
    std::memcpy(&x, p, sizeof x);
    return reinterpret_cast<Vec>(__builtin_convertvector(x, Bits) << 16);
  }
  static Vec load(const F16* p, std::int64_t) {
    return Vec{static_cast<float>(p[0]), static_cast<float>(p[1]), static_cast<float>(p[2]),
               static_cast<float>(p[3])};
  }
  static void store(float* p, Vec x) { std::memcpy(p, &x, sizeof x); }
  static void store(float* p, Vec x, std::int64_t) { store(p, x); }
  // Rounds to nearest even, as the next does.
  static void store(Bf16* p, Vec x, std::int64_t) {
    const auto bits = reinterpret_cast<Bits>(x);
    const Bits rounded = bits + 0x7fff + ((bits >> 16) & 1);
    const auto nan = reinterpret_cast<Bits>(x != x);
    const Halves halves =
        __builtin_convertvector(((rounded & ~nan) | ((bits | 0x400000) & nan)) >> 16, Halves);
    std::memcpy(static_cast<void*>(p), &halves, sizeof halves);
  }
  static void store(F16* p, Vec x, std::int64_t) {
    for (int i = 0; i < width; ++i) p[i] = F16(x[i]);
  }

  static Vec add(Vec a, Vec b) { return a + b; }
  static Vec subtract(Vec a, Vec b) { return a - b; }
  static Vec multiply(Vec a, Vec b) { return a * b; }
  static Vec multiply_add(Vec a, Vec b, Vec c) { return a * b + c; }
  static Vec multiply_subtract(Vec a, Vec b, Vec c) { return a * b - c; }
  static Vec max(Vec a, Vec b) { return a > b ? a : b; }
  static bool any_greater(Vec a, Vec b) {
    const Integers greater = a > b;
    return (greater[0] | greater[1] | greater[2] | greater[3]) != 0;
  }
  static float sum(Vec x) { return (x[0] + x[2]) + (x[1] + x[3]); }
  static float largest(Vec x) {
    const float a = x[0] > x[1] ? x[0] : x[1];
    const float b = x[2] > x[3] ? x[2] : x[3];
    return a > b ? a : b;
  }
  static float first(Vec x) { return x[0]; }

  // 2^x to 2 units in the last place; 0 below -126, at most 2^127. Minimax over [-1/2, 1/2].
  static Vec exp2(Vec x) {
    const Vec above = max(set(-126), x);  // operands in this order: NaN stays NaN
    const Vec bounded = above > 127 ? set(127) : above;
    const Vec round = set(12582912);  // 1.5 2^23: no fraction is left beside it
    const Vec whole = (bounded + round) - round;
    const Vec f = bounded - whole;
    Vec p = multiply_add(set(0.0001534581242594868F), f, set(0.0013399930903688073F));
    p = multiply_add(p, f, set(0.009618489071726799F));
    p = multiply_add(p, f, set(0.05550328642129898F));
    p = multiply_add(p, f, set(0.24022646248340607F));
    p = multiply_add(p, f, set(0.6931471824645996F));
    p = multiply_add(p, f, set(1));
    const Integers exponent = (__builtin_convertvector(whole, Integers) + 127) << 23;
    const Integers vanishes = x < -126;
    return reinterpret_cast<Vec>(reinterpret_cast<Integers>(p * reinterpret_cast<Vec>(exponent)) & ~vanishes);
  }

  static void transpose(Vec (&x)[4]) {
    const Vec t[4] = {x[0], x[1], x[2], x[3]};
    for (int j = 0; j < 4; ++j) x[j] = Vec{t[0][j], t[1][j], t[2][j], t[3][j]};
  }
};

}  // namespace
}  // namespace hydrajob::cpu
