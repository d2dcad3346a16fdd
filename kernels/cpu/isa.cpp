#include "kernels/cpu/isa.hpp"

#include <algorithm>
#include <array>
#include <cstddef>
#include <cstdlib>
#include <string>
#include <vector>

#include <fmt/format.h>
#include <fmt/ranges.h>

#include "base/error.hpp"
#include "base/nearest.hpp"

namespace hydrajob::cpu {
namespace {

constexpr std::array<std::string_view, 4> names{"portable", "avx2", "avx512", "avx512_bf16"};

Isa choose() {
  const char* asked = std::getenv("HYDRAJOB_ISA");
  return asked == nullptr || *asked == '\0' ? detected_isa() : capped_isa(detected_isa(), asked);
}

}  // namespace

Isa detected_isa() {
#if defined(__x86_64__)
  __builtin_cpu_init();
  const bool avx2 =
      __builtin_cpu_supports("avx2") && __builtin_cpu_supports("fma") && __builtin_cpu_supports("f16c");
  const bool avx512 = avx2 && __builtin_cpu_supports("avx512f") && __builtin_cpu_supports("avx512bw") &&
                      __builtin_cpu_supports("avx512dq") && __builtin_cpu_supports("avx512vl");
  if (avx512 && __builtin_cpu_supports("avx512bf16")) return Isa::avx512_bf16;
  if (avx512) return Isa::avx512;
  if (avx2) return Isa::avx2;
#endif
  return Isa::portable;
}

Isa capped_isa(Isa detected, std::string_view asked) {
  const auto* found = std::find(names.begin(), names.end(), asked);
  if (found == names.end()) {
    const auto close = nearest(asked, {names.begin(), names.end()});
    throw UsageError(fmt::format("HYDRAJOB_ISA='{}': expected one of {}{}", asked, fmt::join(names, ", "),
                                 close ? fmt::format("; did you mean '{}'?", *close) : ""));
  }
  return std::min(detected, static_cast<Isa>(found - names.begin()));
}

Isa isa() {
  static const Isa chosen = choose();
  return chosen;
}

std::string_view name_of(Isa isa) {
  return names[static_cast<std::size_t>(isa)];
}

}  // namespace hydrajob::cpu
