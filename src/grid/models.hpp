// The architectures that an experiment names, each read once.
#pragma once

#include <filesystem>
#include <functional>
#include <map>
#include <string>
#include <utility>

#include "config/architecture.hpp"
#include "config/place.hpp"

namespace hydrajob {

// What the files of weights are of.
struct WeightsContent {
  Architecture architecture;
  int split = 0;  // the one tensor_parallel that they are for; 0: any
};
// Reads it. Throws UsageError.
using ReadWeights = std::function<WeightsContent(const std::string& path)>;

class Models {
 public:
  // `experiment_file`: bare names are looked up in models/ beside it.
  Models(std::filesystem::path experiment_file, ReadWeights read_weights);

  // model: a bare name or a path. Throws UsageError at `place`, with the nearest known name.
  const Architecture& named(const std::string& model, const Place& place);
  // Of a model file, or of a split one. Throws UsageError at `place`.
  const WeightsContent& of_weights(const std::string& path, const Place& place);

 private:
  std::filesystem::path folder_;
  ReadWeights read_weights_;
  std::map<std::string, Architecture, std::less<>> named_;
  std::map<std::string, WeightsContent, std::less<>> of_weights_;
};

// Empty when both are the same model, names aside, else the first line that differs: "hidden: 256 and hidden:
// 512".
std::string difference(const Architecture& a, const Architecture& b);

}  // namespace hydrajob
