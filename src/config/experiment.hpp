// An experiment configuration as written: defaults, blocks, axes; expanded by grid/expand.hpp. docs/configuration.md
// describes the file.
#pragma once

#include <filesystem>
#include <string>
#include <vector>

#include "base/value.hpp"

namespace hydrajob {

// Where something stands in a file: "configs/e2e-7b.yaml:12:7", or "--set batch" for the command line.
struct Place {
  std::string text;
};

// One parameter with the values it takes, in order; a scalar is an axis of one value.
struct Axis {
  std::string parameter;
  std::vector<Value> values;
  Place place;
};

// Axes that move together: all of the same length.
using Zip = std::vector<Axis>;

// "batch: '>= 512'", "mode: [noshared, paged]", "prefix: 1024:8193:x2": holds when the parameter's value does.
struct Condition {
  enum class Kind { any_of, less, less_equal, greater, greater_equal, not_equal };
  std::string parameter;
  Kind kind = Kind::any_of;
  std::vector<Value> values;
  Place place;
};
using Conditions = std::vector<Condition>;  // all must hold

// "when": where the conditions hold, these axes replace the block's own.
struct When {
  Conditions conditions;
  std::vector<Axis> axes;
  Place place;
};

struct Block {
  std::string name;
  std::vector<Axis> axes;  // product, in the order written, first outermost
  std::vector<Zip> zips;
  std::vector<Conditions> excludes;
  std::vector<When> whens;
  Place place;
};

struct Experiment {
  std::string name;
  std::filesystem::path file;
  std::filesystem::path store;
  std::vector<Block> blocks;  // the file's defaults are already merged into each
  std::string resolved_text;  // YAML with defaults, variables and --set applied
};

// Reads, checks every key and value's type against config/parameters.hpp, applies `--set key=value`.
// Throws UsageError: "configs/a.yaml:3:1: unknown key 'bacth': did you mean 'batch'?".
Experiment load_experiment(const std::filesystem::path& path, const std::vector<std::string>& set);

// "mode=hydragen,batch>=64" for --only and --exclude. Throws UsageError.
Conditions parse_conditions(const std::string& text);
bool holds(const Conditions& conditions, const Parameters& parameters);

}  // namespace hydrajob
