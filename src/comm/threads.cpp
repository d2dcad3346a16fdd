#include "comm/threads.hpp"

#include <algorithm>
#include <charconv>
#include <cstdlib>
#include <limits>
#include <sched.h>
#include <string>
#include <string_view>
#include <system_error>
#include <thread>

#include <fmt/format.h>

#include "base/error.hpp"
#include "device/cpu_info.hpp"
#include "device/cpu_quota.hpp"

namespace hydrajob {
namespace {

// One character a core, '1' where this process may run; empty where the system does not say.
std::string affinity() {
  cpu_set_t set;
  CPU_ZERO(&set);
  if (sched_getaffinity(0, sizeof set, &set) != 0) return {};
  std::string cores(CPU_SETSIZE, '0');
  for (int i = 0; i < CPU_SETSIZE; ++i) {
    if (CPU_ISSET(i, &set)) cores[static_cast<std::size_t>(i)] = '1';
  }
  return cores;
}

bool overlap(const std::string& a, const std::string& b) {
  for (std::size_t i = 0; i < std::min(a.size(), b.size()); ++i) {
    if (a[i] == '1' && b[i] == '1') return true;
  }
  return false;
}

constexpr const char* omp_variable = "OMP_NUM_THREADS";

// The first number of OMP_NUM_THREADS ("4" or "4,2"), 0 when unset or no number.
int asked_by_environment() {
  const char* text = std::getenv(omp_variable);
  int threads = 0;
  if (!text) return threads;
  const auto parsed = std::from_chars(text, text + std::string_view(text).size(), threads);
  return parsed.ec == std::errc::result_out_of_range ? std::numeric_limits<int>::max() : threads;
}

int cores_in_mask() {
  const auto allowed = cpus_allowed().size();
  return static_cast<int>(allowed > 0 ? allowed : std::thread::hardware_concurrency());
}

}  // namespace

void expect_possible_omp_num_threads() {
  if (asked_by_environment() <= most_threads) return;
  throw UsageError(fmt::format("{} '{}': expected 1 to {} threads", omp_variable, std::getenv(omp_variable),
                               most_threads));
}

int cores_available() {
  return within_cpu_quota(cores_in_mask());
}

std::string affinity_list() {
  const std::string cores = affinity();
  std::string list;
  for (std::size_t i = 0; i < cores.size(); ++i) {
    if (cores[i] == '0') continue;
    std::size_t last = i;
    while (last + 1 < cores.size() && cores[last + 1] == '1') ++last;
    if (!list.empty()) list += ",";
    list += std::to_string(i);
    if (last > i) list += fmt::format("-{}", last);
    i = last;
  }
  return list;
}

int threads_per_rank(Communicator& node, int asked) {
  const std::string mine = affinity();
  int sharers = 0;
  for (const std::string& theirs : node.all_gather(mine)) sharers += overlap(mine, theirs) ? 1 : 0;
  if (asked > 0) return asked;
  if (const int threads = asked_by_environment(); threads > 0) return threads;
  const int of_mask = cores_in_mask() / std::max(1, sharers);
  const double of_quota = cpu_quota() / node.size();  // one for all ranks, whatever their masks
  return std::clamp(static_cast<int>(std::min<double>(of_mask, of_quota)), 1, most_threads);
}

}  // namespace hydrajob
