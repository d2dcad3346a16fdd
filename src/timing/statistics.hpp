// Order statistics of samples, after Hoefler and Belli, "Scientific Benchmarking of Parallel Computing
// Systems" (SC'15).
#pragma once

#include <optional>
#include <string>
#include <utility>
#include <vector>

namespace hydrajob {

double median(std::vector<double> samples);              // NaN when empty
double quantile(std::vector<double> samples, double q);  // linear between order statistics; NaN when empty

// 95 % confidence interval of the median from order statistics (exact binomial, no distribution assumed);
// none below 6 samples.
std::optional<std::pair<double, double>> median_interval(std::vector<double> samples);

struct Convergence {
  bool converged = false;
  std::string reason;  // "interval ±0.4 % of the median after 12", "fewer than 6 samples", "±3.1 % after 10,
                       // asked ±1 %"
};
// Whether the median's interval lies within ± target (relative) of it.
Convergence convergence(const std::vector<double>& samples, double target);

}  // namespace hydrajob
