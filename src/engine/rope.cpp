#include "engine/rope.hpp"

#include <algorithm>
#include <complex>
#include <vector>

#include "config/rope_frequencies.hpp"

namespace hydrajob {
namespace {

// Trigonometric functions of every angle would take a tenth of a second for 64 Ki positions. Those of a run's
// first position and of the offsets within a run do: the rest are products, exact to a few of a double's last
// bits.
constexpr std::int64_t run_length = 256;
using Rotation = std::complex<double>;

// (count, frequencies): of the positions from `first` on.
std::vector<Rotation> rotations(const std::vector<double>& frequency, std::int64_t first,
                                std::int64_t count) {
  std::vector<Rotation> result;
  for (std::int64_t p = first; p < first + count; ++p) {
    for (const double f : frequency) result.push_back(std::polar(1.0, static_cast<double>(p) * f));
  }
  return result;
}

}  // namespace

RopeTable make_rope_table(const Architecture& architecture, std::int64_t positions) {
  const std::int64_t half = architecture.head_dim / 2;
  const std::vector<double> frequency = rope_frequencies(architecture);
  RopeTable table;
  table.cosine.resize(static_cast<std::size_t>(positions * half));
  table.sine.resize(table.cosine.size());
  const std::vector<Rotation> within = rotations(frequency, 0, std::min(positions, run_length));
  for (std::int64_t first = 0; first < positions; first += run_length) {
    const std::vector<Rotation> begin = rotations(frequency, first, 1);
    const std::int64_t end = std::min(positions - first, run_length);
    for (std::int64_t p = 0; p < end; ++p) {
      const Rotation* offset = within.data() + p * half;
      const std::int64_t row = (first + p) * half;
      for (std::int64_t i = 0; i < half; ++i) {
        const Rotation a = begin[i], b = offset[i];
        table.cosine[row + i] = static_cast<float>(a.real() * b.real() - a.imag() * b.imag());
        table.sine[row + i] = static_cast<float>(a.real() * b.imag() + a.imag() * b.real());
      }
    }
  }
  return table;
}

}  // namespace hydrajob
