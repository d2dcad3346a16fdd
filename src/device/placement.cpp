#include "device/placement.hpp"

#include <algorithm>
#include <cctype>
#include <fstream>
#include <iterator>
#include <sched.h>
#include <sstream>

namespace hydrajob {
namespace {

// "0-3,8" as the kernel writes it; none where it is anything else.
std::vector<int> read_cpu_list(std::istream& in) {
  std::vector<int> cpus;
  for (std::string part; std::getline(in, part, ',');) {
    std::istringstream range(part);
    int first = 0, last = 0;
    char dash = ' ';
    if (!(range >> first)) return {};
    last = range >> dash >> last && dash == '-' ? last : first;
    for (int cpu = first; cpu <= last && cpu < CPU_SETSIZE; ++cpu) cpus.push_back(cpu);
  }
  return cpus;
}

std::vector<int> in_both(const std::vector<int>& a, const std::vector<int>& b) {
  std::vector<int> both;
  std::set_intersection(a.begin(), a.end(), b.begin(), b.end(), std::back_inserter(both));
  return both;
}

}  // namespace

std::vector<int> cpus_near(const std::string& pci_bus_id, const std::filesystem::path& root) {
  std::string name = pci_bus_id;
  std::transform(name.begin(), name.end(), name.begin(), [](unsigned char c) { return std::tolower(c); });
  std::ifstream in(root / "sys/bus/pci/devices" / name / "local_cpulist");
  return read_cpu_list(in);
}

int cpus_online(const std::filesystem::path& root) {
  std::ifstream in(root / "sys/devices/system/cpu/online");
  return static_cast<int>(read_cpu_list(in).size());
}

std::vector<int> cpus_to_bind_to(const std::vector<int>& near, const std::vector<int>& allowed, int online) {
  if (online == 0 || static_cast<int>(allowed.size()) < online) return {};
  const std::vector<int> both = in_both(near, allowed);
  return both.size() < allowed.size() ? both : std::vector<int>{};
}

bool is_far(const std::vector<int>& near, const std::vector<int>& allowed) {
  return !near.empty() && !allowed.empty() && in_both(near, allowed).empty();
}

bool bind_to(const std::vector<int>& cpus) {
  cpu_set_t set;
  CPU_ZERO(&set);
  for (const int cpu : cpus) CPU_SET(cpu, &set);
  return sched_setaffinity(0, sizeof set, &set) == 0;
}

}  // namespace hydrajob
