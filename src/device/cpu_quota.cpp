#include "device/cpu_quota.hpp"

#include <algorithm>
#include <fstream>
#include <limits>

namespace hydrajob {
namespace {

namespace fs = std::filesystem;

constexpr double unlimited = std::numeric_limits<double>::infinity();

double cores_busy(double quota_us, double period_us) {
  return quota_us > 0 && period_us > 0 ? quota_us / period_us : unlimited;
}

// "150000 100000", or "max 100000".
double quota_v2(const fs::path& folder) {
  std::ifstream in(folder / "cpu.max");
  double quota_us = 0;
  double period_us = 0;
  return in >> quota_us >> period_us ? cores_busy(quota_us, period_us) : unlimited;
}

// A quota of -1 is none.
double quota_v1(const fs::path& folder) {
  std::ifstream quota(folder / "cpu.cfs_quota_us");
  std::ifstream period(folder / "cpu.cfs_period_us");
  double quota_us = 0;
  double period_us = 0;
  return quota >> quota_us && period >> period_us ? cores_busy(quota_us, period_us) : unlimited;
}

}  // namespace

double cpu_quota(const SystemRoots& roots) {
  double least = unlimited;
  for_each_group(roots, "cpu", [&](const fs::path& folder, GroupVersion version) {
    least = std::min(least, version == GroupVersion::v2 ? quota_v2(folder) : quota_v1(folder));
  });
  return least;
}

int within_cpu_quota(int cores, const SystemRoots& roots) {
  return std::max(1, static_cast<int>(std::min(static_cast<double>(cores), cpu_quota(roots))));
}

}  // namespace hydrajob
