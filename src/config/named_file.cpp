#include "config/named_file.hpp"

#include <algorithm>
#include <system_error>
#include <vector>

#include <fmt/format.h>

namespace hydrajob {
namespace {

bool is_path(const std::string& name) {
  return name.find('/') != std::string::npos || name.ends_with(".yaml") || name.ends_with(".yml");
}

std::vector<std::string> names_in(const std::filesystem::path& folder) {
  std::vector<std::string> names;
  std::error_code none;
  for (const auto& entry : std::filesystem::directory_iterator(folder, none)) {
    if (entry.path().extension() == ".yaml") names.push_back(entry.path().stem().string());
  }
  std::sort(names.begin(), names.end());
  return names;
}

}  // namespace

std::filesystem::path named_file(const std::string& kind, const std::string& name,
                                 const std::filesystem::path& folder, const Place& place) {
  if (is_path(name)) {
    if (!std::filesystem::exists(name)) fail_at(place, fmt::format("{}: there is no file '{}'", kind, name));
    return name;
  }
  std::filesystem::path path = folder / (name + ".yaml");
  if (std::filesystem::exists(path)) return path;
  const std::vector<std::string> known = names_in(folder);
  const std::string unknown =
      known.empty()
          ? fmt::format("unknown {} '{}': expected {}/{}.yaml beside the experiment's file, or a path", kind,
                        name, folder.filename().string(), name)
          : unknown_name(kind, name, known);
  fail_at(place, fmt::format("{} ({} does not exist)", unknown, path.string()));
}

}  // namespace hydrajob
