#include "grid/models.hpp"

#include <sstream>

#include <fmt/format.h>

#include "base/error.hpp"
#include "config/named_file.hpp"

namespace hydrajob {

Models::Models(std::filesystem::path experiment_file, ReadWeights read_weights)
    : folder_(experiment_file.parent_path() / "models"), read_weights_(std::move(read_weights)) {}

const Architecture& Models::named(const std::string& model, const Place& place) {
  const auto known = named_.find(model);
  if (known != named_.end()) return known->second;
  return named_.emplace(model, load_architecture(named_file("model", model, folder_, place))).first->second;
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
