#include "device/cpu_info.hpp"

#include <algorithm>
#include <array>
#include <fstream>
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
constexpr std::array<std::string_view, 14> notable{
    "avx",         "avx2",     "fma",         "f16c",     "avx512f",  "avx512bw", "avx512vl",
    "avx512_vnni", "avx_vnni", "avx512_bf16", "amx_tile", "amx_bf16", "sve",      "bf16"};

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
  cpu_set_t set;
  CPU_ZERO(&set);
  if (::sched_getaffinity(0, sizeof set, &set) != 0) return "";
  return std::to_string(CPU_COUNT(&set));
}

fs::path cache_folder(const fs::path& root, int index) {
  return root / "sys/devices/system/cpu/cpu0/cache" / fmt::format("index{}", index);
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
  for (int index = 0; fs::exists(cache_folder(root, index)); ++index) {
    const fs::path folder = cache_folder(root, index);
    const std::string type = first_line(folder / "type");
    if (type == "Instruction") continue;
    const std::string name = "cache_l" + first_line(folder / "level") + (type == "Data" ? "d" : "");
    facts[name] = format_bytes(static_cast<double>(cache_bytes(folder)));
  }
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

std::size_t last_level_cache_bytes(const fs::path& root) {
  std::size_t bytes = 0;
  for (int index = 0; fs::exists(cache_folder(root, index)); ++index) {
    bytes = std::max(bytes, cache_bytes(cache_folder(root, index)));
  }
  return bytes;
}

}  // namespace hydrajob
