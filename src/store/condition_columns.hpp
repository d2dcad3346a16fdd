// The columns of a sample's condition: the same names in the file, in segments and in what is exported.
#pragma once

#include <cmath>
#include <cstdint>

#include "store/run_record.hpp"
#include "store/table.hpp"

namespace hydrajob {

// Calls visit(name, unit, long name, pointer to the member) for each of them.
template <class Visit>
void for_each_condition(Visit&& visit) {
  visit("sm_clock_mhz", "MHz", "clock of the multiprocessors while the sample's iteration ran",
        &SampleCondition::sm_clock_mhz);
  visit("throttle_reasons", "1", "what held that clock down: bits of NVML's clocks event reasons",
        &SampleCondition::throttle_reasons);
  visit("power_w", "W", "power of the device while the sample's iteration ran", &SampleCondition::power_w);
}

// What stands for a value that is missing.
inline double missing_of(double) {
  return std::nan("");
}
inline std::int64_t missing_of(std::int64_t) {
  return missing_int;
}

}  // namespace hydrajob
