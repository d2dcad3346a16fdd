// How much memory this process could still take: of the machine, and of every control group that it stands
// in. Linux grants more than there is and kills later, so whoever asks for much must look first.
#pragma once

#include <cstddef>

#include "device/control_groups.hpp"

namespace hydrajob {

// Bytes: the smallest of MemAvailable and, for the process's control group and each above it (v2 and v1), its
// limit less what is used and cannot be reclaimed. The largest std::size_t where nothing is known.
std::size_t available_memory(const SystemRoots& roots = {});

}  // namespace hydrajob
