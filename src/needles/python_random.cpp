#include "needles/python_random.hpp"

#include <algorithm>
#include <bit>

namespace hydrajob {

PythonRandom::PythonRandom(std::uint64_t seed) {
  std::vector<std::uint32_t> key{static_cast<std::uint32_t>(seed)};
  if (seed >> 32 != 0) key.push_back(static_cast<std::uint32_t>(seed >> 32));
  mix(key);
}

void PythonRandom::fill(std::uint32_t seed) {
  state_[0] = seed;
  for (std::size_t i = 1; i < words; ++i) {
    const std::uint32_t last = state_[i - 1];
    state_[i] = 1812433253u * (last ^ (last >> 30)) + static_cast<std::uint32_t>(i);
  }
}

void PythonRandom::mix(const std::vector<std::uint32_t>& key) {
  fill(19650218u);
  std::size_t i = 1;
  const auto step = [&](std::uint32_t factor, std::uint32_t added) {
    const std::uint32_t last = state_[i - 1];
    state_[i] = (state_[i] ^ ((last ^ (last >> 30)) * factor)) + added;
    if (++i < words) return;
    state_[0] = state_[words - 1];
    i = 1;
  };
  for (std::size_t k = 0; k < std::max(words, key.size()); ++k) {
    const std::size_t j = k % key.size();
    step(1664525u, key[j] + static_cast<std::uint32_t>(j));
  }
  for (std::size_t k = 1; k < words; ++k) step(1566083941u, 0u - static_cast<std::uint32_t>(i));
  state_[0] = 0x80000000u;
}

void PythonRandom::twist() {
  constexpr std::size_t shift = 397;
  for (std::size_t i = 0; i < words; ++i) {
    const std::uint32_t y = (state_[i] & 0x80000000u) | (state_[(i + 1) % words] & 0x7fffffffu);
    state_[i] = state_[(i + shift) % words] ^ (y >> 1) ^ ((y & 1) != 0 ? 0x9908b0dfu : 0u);
  }
  at_ = 0;
}

std::uint32_t PythonRandom::next() {
  if (at_ == words) twist();
  std::uint32_t y = state_[at_++];
  y ^= y >> 11;
  y ^= (y << 7) & 0x9d2c5680u;
  y ^= (y << 15) & 0xefc60000u;
  return y ^ (y >> 18);
}

// getrandbits of as many bits as n has, until what comes is below n.
std::uint32_t PythonRandom::below(std::uint32_t n) {
  const int unused = 32 - std::bit_width(n);
  std::uint32_t value = next() >> unused;
  while (value >= n) value = next() >> unused;
  return value;
}

}  // namespace hydrajob
