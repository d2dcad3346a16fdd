#include "base/units.hpp"

#include <array>
#include <cmath>
#include <cstddef>
#include <string_view>

#include <fmt/format.h>

namespace hydrajob {
namespace {

template <std::size_t n>
std::string scaled(double value, double step, const std::array<std::string_view, n>& units) {
  std::size_t i = 0;
  // 999.5 would print as "1000 M": go on to the next unit.
  while (i + 1 < n && std::abs(value) >= step * 0.9995) {
    value /= step;
    ++i;
  }
  const double magnitude = std::abs(value);
  const int digits = i == 0 || magnitude >= 99.95 ? 0 : (magnitude >= 9.995 ? 1 : 2);
  std::string text = fmt::format("{:.{}f}", value, digits);
  if (!units[i].empty()) text += fmt::format(" {}", units[i]);
  return text;
}

}  // namespace

std::string format_bytes(double bytes) {
  return scaled<6>(bytes, 1024.0, {"B", "KiB", "MiB", "GiB", "TiB", "PiB"});
}

std::string format_count(double count) {
  return scaled<6>(count, 1000.0, {"", "k", "M", "G", "T", "P"});
}

std::string format_seconds(double seconds) {
  if (seconds >= 3600) {
    const auto minutes = static_cast<long>(std::lround(seconds / 60));
    return fmt::format("{} h {:02} min", minutes / 60, minutes % 60);
  }
  if (seconds >= 60) {
    const auto whole = static_cast<long>(std::lround(seconds));
    return fmt::format("{} min {:02} s", whole / 60, whole % 60);
  }
  if (seconds >= 1) return fmt::format("{:.1f} s", seconds);
  if (seconds >= 1e-3) return fmt::format("{:.1f} ms", seconds * 1e3);
  return fmt::format("{:.1f} us", seconds * 1e6);
}

}  // namespace hydrajob
