// An experiment configuration as written: defaults, blocks, axes; expanded by grid/expand.hpp.
// docs/configuration.md describes the file.
#pragma once

#include <filesystem>
#include <string>
#include <vector>

#include "base/value.hpp"
#include "config/axis.hpp"
#include "config/condition.hpp"
#include "config/override.hpp"
#include "config/place.hpp"

namespace hydrajob {

// Axes that move together: all of the same length.
using Zip = std::vector<Axis>;

// "when": where the conditions hold, these axes replace the block's own.
struct When {
  Conditions conditions;
  std::vector<Axis> axes;
  Place place;
};

// Every parameter stands at most once in `axes` and `zips` together, and applies to the block's workload.
struct Block {
  std::string name;  // empty: none given
  std::string workload;
  std::vector<Axis> axes;  // product, in the order written, first outermost; the zips are inside
  std::vector<Zip> zips;
  std::vector<Conditions> excludes;
  std::vector<When> whens;  // applied in order; none sets what an earlier one's conditions, or its own, read
  Place place;
};

struct Experiment {
  std::string name;
  std::filesystem::path file;
  std::filesystem::path store;
  std::vector<Block> blocks;  // the file's defaults are already merged into each
  std::string
      resolved_text;  // YAML with defaults, variables and --set applied; reads back as the same experiment
};

// Reads, checks every key and value's type against config/parameters.hpp, applies `--set key=value`.
// Throws UsageError: "configs/a.yaml:3:1: unknown key 'bacth': did you mean 'batch'?".
Experiment load_experiment(const std::filesystem::path& path, const std::vector<Assignment>& set);

// The same from text; `path` names it in messages and is where models are looked up beside.
Experiment parse_experiment(const std::string& text, const std::filesystem::path& path,
                            const std::vector<Assignment>& set);

}  // namespace hydrajob
