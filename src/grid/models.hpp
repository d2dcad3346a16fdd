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

// Reads the architecture out of a model file.
using ReadArchitecture = std::function<Architecture(const std::string& path)>;

class Models {
 public:
  // `experiment_file`: bare names are looked up in models/ beside it.
  Models(std::filesystem::path experiment_file, ReadArchitecture read_weights);

  // model: a bare name or a path. Throws UsageError at `place`, with the nearest known name.
  const Architecture& named(const std::string& model, const Place& place);
  // Of a model file. Throws UsageError at `place`.
  const Architecture& of_weights(const std::string& path, const Place& place);

 private:
  std::filesystem::path path_of(const std::string& model, const Place& place) const;

  std::filesystem::path folder_;
  ReadArchitecture read_weights_;
  std::map<std::string, Architecture, std::less<>> named_;
  std::map<std::string, Architecture, std::less<>> of_weights_;
};

// Empty when both are the same model, names aside, else the first line that differs: "hidden: 256 and hidden:
// 512".
std::string difference(const Architecture& a, const Architecture& b);

}  // namespace hydrajob
