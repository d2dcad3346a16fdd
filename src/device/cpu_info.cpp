#include "device/cpu_info.hpp"

#include <array>
#include <fstream>
#include <numeric>
#include <sched.h>
#include <sstream>
#include <string_view>
#include <unistd.h>

#include <fmt/format.h>

#include "base/units.hpp"

namespace hydrajob {
namespace {

namespace fs = std::filesystem;

// The extensions that shape the speed of the kernels.
constexpr std::array<std::string_view, 16> notable{
    "avx",      "avx2",        "fma",         "f16c",     "avx512f",  "avx512bw", "avx512vl", "avx512_vnni",
    "avx_vnni", "avx512_bf16", "avx512_fp16", "amx_tile", "amx_bf16", "amx_fp16", "sve",      "bf16"};

std::string first_line(const fs::path& file) {
  std::ifstream in(file);
  std::string line;
  std::getline(in, line);
  return line;
}

// The text after "key : " in a file of such lines; empty when absent.
std::string field(const fs::path& file, std::string_view key) {
  std::ifstream in(file);
  for (std::string line; std::getline(in, line);) {
    if (line.compare(0, key.size(), key) != 0) continue;
    const auto colon = line.find(':');
    if (colon == std::string::npos) continue;
    const auto text = line.find_first_not_of(" \t", colon + 1);
    return text == std::string::npos ? "" : line.substr(text);
  }
  return "";
}

std::string extensions(const fs::path& cpuinfo) {
  std::string flags = field(cpuinfo, "flags");
  if (flags.empty()) flags = field(cpuinfo, "Features");
  std::istringstream words(flags);
  std::string found;
  for (std::string word; words >> word;) {
    for (const std::string_view name : notable) {
      if (word == name) found += (found.empty() ? "" : " ") + word;
    }
  }
  return found;
}

std::string cores_allowed() {
  const std::size_t cores = cpus_allowed().size();
  return cores > 0 ? std::to_string(cores) : "";
}

fs::path cache_folder(const fs::path& root, int cpu, int index) {
  return root / fmt::format("sys/devices/system/cpu/cpu{}/cache/index{}", cpu, index);
}

// "32768K" as the kernel writes it.
std::size_t cache_bytes(const fs::path& folder) {
  std::istringstream text(first_line(folder / "size"));
  std::size_t value = 0;
  char unit = ' ';
  text >> value >> unit;
  return unit == 'K' ? value << 10 : (unit == 'M' ? value << 20 : value);
}

void add_caches(std::map<std::string, std::string>& facts, const fs::path& root) {
  for (int index = 0; fs::exists(cache_folder(root, 0, index)); ++index) {
    const fs::path folder = cache_folder(root, 0, index);
    const std::string type = first_line(folder / "type");
    if (type == "Instruction") continue;
    const std::string name = "cache_l" + first_line(folder / "level") + (type == "Data" ? "d" : "");
    facts[name] = format_bytes(static_cast<double>(cache_bytes(folder)));
  }
}

// Of the CPU's cache furthest from it; empty where the system does not tell.
fs::path last_level_folder(const fs::path& root, int cpu) {
  fs::path last;
  int last_level = 0;
  for (int index = 0; fs::exists(cache_folder(root, cpu, index)); ++index) {
    const fs::path folder = cache_folder(root, cpu, index);
    int level = 0;
    std::istringstream(first_line(folder / "level")) >> level;
    if (level <= last_level) continue;
    last = folder;
    last_level = level;
  }
  return last;
}

int numa_nodes(const fs::path& root) {
  int nodes = 0;
  while (fs::exists(root / "sys/devices/system/node" / fmt::format("node{}", nodes))) ++nodes;
  return nodes;
}

std::string memory_total(const fs::path& root) {
  std::istringstream text(field(root / "proc/meminfo", "MemTotal"));
  double kibibytes = 0;
  return text >> kibibytes ? format_bytes(kibibytes * 1024) : "";
}

}  // namespace

std::map<std::string, std::string> describe_cpu(const fs::path& root) {
  const fs::path cpuinfo = root / "proc/cpuinfo";
  std::map<std::string, std::string> facts{{"cpu_model", field(cpuinfo, "model name")},
                                           {"cores", cores_allowed()},
                                           {"cores_online", std::to_string(::sysconf(_SC_NPROCESSORS_ONLN))},
                                           {"isa", extensions(cpuinfo)},
                                           {"memory", memory_total(root)}};
  if (const int nodes = numa_nodes(root); nodes > 0) facts["numa_nodes"] = std::to_string(nodes);
  add_caches(facts, root);
  std::erase_if(facts, [](const auto& fact) { return fact.second.empty(); });
  return facts;
}

std::vector<int> cpus_allowed() {
  cpu_set_t set;
  CPU_ZERO(&set);
  if (::sched_getaffinity(0, sizeof set, &set) != 0) return {};
  std::vector<int> cpus;
  for (int cpu = 0; cpu < CPU_SETSIZE; ++cpu) {
    if (CPU_ISSET(cpu, &set)) cpus.push_back(cpu);
  }
  return cpus;
}

std::size_t last_level_cache_bytes(const fs::path& root, const std::vector<int>& cpus) {
  std::map<std::string, std::size_t> caches;  // by the CPUs that share it: the name that sharers agree on
  for (const int cpu : cpus) {
    const fs::path folder = last_level_folder(root, cpu);
    if (!folder.empty()) caches[first_line(folder / "shared_cpu_list")] = cache_bytes(folder);
  }
  return std::accumulate(caches.begin(), caches.end(), std::size_t{0},
                         [](std::size_t sum, const auto& cache) { return sum + cache.second; });
}

}  // namespace hydrajob
