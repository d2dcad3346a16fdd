#include "device/available_memory.hpp"

#include <algorithm>
#include <cstdint>
#include <fstream>
#include <limits>
#include <optional>
#include <sstream>
#include <string>

namespace hydrajob {
namespace {

namespace fs = std::filesystem;

constexpr std::size_t unknown = std::numeric_limits<std::size_t>::max();

// The number that stands after `key` on a line of its own ("MemAvailable: 123 kB", "inactive_file 123").
std::optional<std::uint64_t> value_after(const fs::path& file, const std::string& key) {
  std::ifstream in(file);
  for (std::string line; std::getline(in, line);) {
    std::istringstream words(line);
    std::string name;
    std::uint64_t value = 0;
    if (words >> name >> value && name == key) return value;
  }
  return std::nullopt;
}

// Nothing for a missing file and for "max".
std::optional<std::uint64_t> only_number(const fs::path& file) {
  std::ifstream in(file);
  std::uint64_t value = 0;
  if (in >> value) return value;
  return std::nullopt;
}

struct GroupFiles {
  const char* limit;
  const char* usage;
  const char* reclaimable;  // key in memory.stat
};
constexpr GroupFiles v1{"memory.limit_in_bytes", "memory.usage_in_bytes", "total_inactive_file"};
constexpr GroupFiles v2{"memory.max", "memory.current", "inactive_file"};

std::size_t left_in_group(const fs::path& folder, const GroupFiles& files) {
  const auto limit = only_number(folder / files.limit);
  const auto usage = only_number(folder / files.usage);
  if (!limit || !usage) return unknown;
  const std::uint64_t file_pages = value_after(folder / "memory.stat", files.reclaimable).value_or(0);
  const std::uint64_t held = *usage - std::min(*usage, file_pages);
  return static_cast<std::size_t>(*limit - std::min(*limit, held));
}

}  // namespace

std::size_t available_memory(const SystemRoots& roots) {
  const auto kibibytes = value_after(roots.proc / "meminfo", "MemAvailable:");
  const std::size_t machine = kibibytes ? static_cast<std::size_t>(*kibibytes * 1024) : unknown;
  std::size_t left = machine;
  for_each_group(roots, "memory", [&](const fs::path& folder, GroupVersion version) {
    left = std::min(left, left_in_group(folder, version == GroupVersion::v2 ? v2 : v1));
  });
  return left;
}

}  // namespace hydrajob
