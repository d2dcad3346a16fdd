#include "grid/models.hpp"

#include <algorithm>
#include <sstream>
#include <vector>

#include <fmt/format.h>

#include "base/error.hpp"

namespace hydrajob {
namespace {

bool is_path(const std::string& model) {
  return model.find('/') != std::string::npos || model.ends_with(".yaml") || model.ends_with(".yml");
}

std::vector<std::string> models_in(const std::filesystem::path& folder) {
  std::vector<std::string> names;
  std::error_code none;
  for (const auto& entry : std::filesystem::directory_iterator(folder, none)) {
    if (entry.path().extension() == ".yaml") names.push_back(entry.path().stem().string());
  }
  std::sort(names.begin(), names.end());
  return names;
}

}  // namespace

Models::Models(std::filesystem::path experiment_file, ReadWeights read_weights)
    : folder_(experiment_file.parent_path() / "models"), read_weights_(std::move(read_weights)) {}

std::filesystem::path Models::path_of(const std::string& model, const Place& place) const {
  if (is_path(model)) {
    if (!std::filesystem::exists(model)) fail_at(place, fmt::format("model: there is no file '{}'", model));
    return model;
  }
  std::filesystem::path path = folder_ / (model + ".yaml");
  if (!std::filesystem::exists(path)) {
    const std::vector<std::string> known = models_in(folder_);
    const std::string unknown = known.empty()
                                    ? fmt::format(
                                          "unknown model '{}': expected a file beside this one, or a path, "
                                          "such as configs/models/tiny.yaml",
                                          model)
                                    : unknown_name("model", model, known);
    fail_at(place, fmt::format("{} ({} does not exist)", unknown, path.string()));
  }
  return path;
}

const Architecture& Models::named(const std::string& model, const Place& place) {
  const auto known = named_.find(model);
  if (known != named_.end()) return known->second;
  return named_.emplace(model, load_architecture(path_of(model, place))).first->second;
}

const WeightsContent& Models::of_weights(const std::string& path, const Place& place) {
  const auto known = of_weights_.find(path);
  if (known != of_weights_.end()) return known->second;
  try {
    return of_weights_.emplace(path, read_weights_(path)).first->second;
  } catch (const UsageError& error) {
    fail_at(place, fmt::format("weights: {}", error.what()));
  }
}

std::string difference(const Architecture& a, const Architecture& b) {
  Architecture renamed = b;
  renamed.name = a.name;
  std::istringstream left(to_yaml(a));
  std::istringstream right(to_yaml(renamed));
  std::string left_line;
  std::string right_line;
  while (std::getline(left, left_line)) {
    std::getline(right, right_line);
    if (left_line != right_line) return left_line + " and " + right_line;
  }
  return {};
}

}  // namespace hydrajob
