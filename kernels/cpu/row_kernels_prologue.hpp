// What row_kernels.inc needs from elsewhere, included before an instruction set is chosen.
#pragma once

#include <array>
#include <cstddef>
#include <cstdint>
#include <type_traits>

#if defined(__x86_64__)
#include <immintrin.h>
#endif

#include "base/bf16.hpp"
#include "base/f16.hpp"
#include "base/philox.hpp"
#include "kernels/cpu/row_kernels.hpp"
#include "kernels/nucleus.hpp"

namespace hydrajob::cpu {

inline constexpr std::array<std::uint32_t, 16> lane_order{0, 1, 2,  3,  4,  5,  6,  7,
                                                          8, 9, 10, 11, 12, 13, 14, 15};
// Lane 4q + j holds 4j + q: see words_of_ids().
inline constexpr std::array<std::uint32_t, 16> counter_order{0, 4, 8,  12, 1, 5, 9,  13,
                                                             2, 6, 10, 14, 3, 7, 11, 15};

}  // namespace hydrajob::cpu
