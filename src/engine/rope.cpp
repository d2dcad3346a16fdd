#include "engine/rope.hpp"

#include <cmath>
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

RopeTable make_rope_table(const Architecture& architecture, std::int64_t positions) {
  const std::int64_t half = architecture.head_dim / 2;
  std::vector<double> frequency(static_cast<std::size_t>(half));
  for (std::int64_t i = 0; i < half; ++i) {
    const double exponent = 2.0 * static_cast<double>(i) / static_cast<double>(architecture.head_dim);
    frequency[i] = scaled_frequency(std::pow(architecture.rope_theta, -exponent), architecture.rope_scaling);
  }
  RopeTable table;
  table.cosine.resize(static_cast<std::size_t>(positions * half));
  table.sine.resize(table.cosine.size());
  for (std::int64_t p = 0; p < positions; ++p) {
    for (std::int64_t i = 0; i < half; ++i) {
      const double angle = static_cast<double>(p) * frequency[i];
      table.cosine[p * half + i] = static_cast<float>(std::cos(angle));
      table.sine[p * half + i] = static_cast<float>(std::sin(angle));
    }
  }
  return table;
}

}  // namespace hydrajob
