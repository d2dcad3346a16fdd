// How much CPU time control groups grant: a container's "2 CPUs" are often no two cores, but so much time on
// any.
#pragma once

#include "device/control_groups.hpp"

namespace hydrajob {

// The cores that the granted time keeps busy: the smallest quota of the process's control group and each
// above it (v2 and v1). Infinite where there is none.
double cpu_quota(const SystemRoots& roots = {});

// As many of `cores` as the quota keeps busy all the time, at least 1: threads beyond it are all stopped for
// part of every period.
int within_cpu_quota(int cores, const SystemRoots& roots = {});

}  // namespace hydrajob
