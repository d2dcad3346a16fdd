#include "timing/statistics.hpp"

#include <algorithm>
#include <cmath>
#include <cstddef>
#include <limits>
#include <numbers>
#include <utility>

#include <fmt/format.h>

namespace hydrajob {
namespace {

constexpr std::size_t fewest_samples = 6;  // with five, even [min, max] covers the median with 93.75 % only

double sorted_quantile(const std::vector<double>& sorted, double q) {
  if (sorted.empty()) return std::numeric_limits<double>::quiet_NaN();
  const double position = std::clamp(q, 0.0, 1.0) * static_cast<double>(sorted.size() - 1);
  const auto below = static_cast<std::size_t>(position);
  const std::size_t above = std::min(below + 1, sorted.size() - 1);
  return sorted[below] + (position - static_cast<double>(below)) * (sorted[above] - sorted[below]);
}

// Samples below the median are Binomial(n, 1/2). The largest k for which fewer than k of them has probability
// at most 2.5 %: the k-th smallest and the k-th largest sample then enclose the median with at least 95 %.
std::size_t rank_of_interval(std::size_t n) {
  const auto count = static_cast<double>(n);
  double below = 0;
  std::size_t k = 0;
  for (; k < n; ++k) {
    const auto i = static_cast<double>(k);
    below += std::exp(std::lgamma(count + 1) - std::lgamma(i + 1) - std::lgamma(count - i + 1) -
                      count * std::numbers::ln2);
    if (below > 0.025) break;
  }
  return k;
}

std::string percent(double fraction) {
  return fmt::format("{:.2g} %", fraction * 100);
}

}  // namespace

double median(std::vector<double> samples) {
  return quantile(std::move(samples), 0.5);
}

double quantile(std::vector<double> samples, double q) {
  std::sort(samples.begin(), samples.end());
  return sorted_quantile(samples, q);
}

std::optional<std::pair<double, double>> median_interval(std::vector<double> samples) {
  if (samples.size() < fewest_samples) return std::nullopt;
  std::sort(samples.begin(), samples.end());
  const std::size_t k = rank_of_interval(samples.size());
  return std::pair{samples[k - 1], samples[samples.size() - k]};
}

Convergence convergence(const std::vector<double>& samples, double target) {
  const auto interval = median_interval(samples);
  if (!interval) return {false, fmt::format("fewer than {} samples", fewest_samples)};
  const double middle = median(samples);
  const double half_width = std::max(middle - interval->first, interval->second - middle);
  const double relative = half_width > 0 ? half_width / std::abs(middle) : 0.0;
  if (relative <= target) {
    return {true, fmt::format("interval ±{} of the median after {}", percent(relative), samples.size())};
  }
  return {false, fmt::format("±{} after {}, asked ±{}", percent(relative), samples.size(), percent(target))};
}

}  // namespace hydrajob
