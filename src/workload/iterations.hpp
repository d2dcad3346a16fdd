// How often a workload repeats: warm-up, the iterations asked for, and more until the median is known well
// enough.
#pragma once

#include <algorithm>
#include <functional>
#include <iterator>
#include <vector>

#include "grid/run_spec.hpp"
#include "timing/recorder.hpp"
#include "timing/statistics.hpp"

namespace hydrajob {

// Runs `iterate(index, warmup)` and returns every sample, the same on all ranks. `judged`: the samples that
// decide whether it has converged. Collective.
inline std::vector<PhaseSample> repeat(
    const RunSpec& spec, Recorder& recorder, const std::function<void(std::int32_t, bool)>& iterate,
    const std::function<std::vector<double>(const std::vector<PhaseSample>&)>& judged) {
  for (int i = 0; i < spec.warmup; ++i) iterate(i, true);
  for (int i = 0; i < spec.iterations; ++i) iterate(i, false);
  std::vector<PhaseSample> samples = recorder.collect();
  for (int i = spec.iterations; i < spec.max_iterations; ++i) {
    if (convergence(judged(samples), spec.target_ci).converged) break;
    iterate(i, false);
    std::vector<PhaseSample> more = recorder.collect();
    std::move(more.begin(), more.end(), std::back_inserter(samples));
  }
  return samples;
}

}  // namespace hydrajob
