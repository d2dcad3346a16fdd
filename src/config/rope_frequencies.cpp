#include "config/rope_frequencies.hpp"

#include <cmath>
#include <cstdint>
#include <numbers>

namespace hydrajob {
namespace {

// Long wavelengths are stretched by `factor`, short ones kept, those between blended.
double llama3_frequency(double frequency, const RopeScaling& scaling) {
  const double wavelength = 2.0 * std::numbers::pi / frequency;
  const auto original = static_cast<double>(scaling.original_max_positions);
  if (wavelength < original / scaling.high_frequency_factor) return frequency;
  if (wavelength > original / scaling.low_frequency_factor) return frequency / scaling.factor;
  const double smooth = (original / wavelength - scaling.low_frequency_factor) /
                        (scaling.high_frequency_factor - scaling.low_frequency_factor);
  return (1.0 - smooth) * frequency / scaling.factor + smooth * frequency;
}

double scaled_frequency(double frequency, const RopeScaling& scaling) {
  switch (scaling.kind) {
    case RopeScaling::Kind::none:
      return frequency;
    case RopeScaling::Kind::linear:
      return frequency / scaling.factor;
    case RopeScaling::Kind::llama3:
      return llama3_frequency(frequency, scaling);
  }
  return frequency;
}

}  // namespace

std::vector<double> rope_frequencies(const Architecture& architecture) {
  std::vector<double> frequencies;
  for (std::int64_t i = 0; i < architecture.head_dim / 2; ++i) {
    const double exponent = 2.0 * static_cast<double>(i) / static_cast<double>(architecture.head_dim);
    frequencies.push_back(
        scaled_frequency(std::pow(architecture.rope_theta, -exponent), architecture.rope_scaling));
  }
  return frequencies;
}

}  // namespace hydrajob
