// Blocks of an experiment: read from their maps, merged with the file's defaults, cut down to their workload.
#pragma once

#include <string>
#include <vector>

#include "config/document.hpp"
#include "config/experiment.hpp"

namespace hydrajob {

// Reads the axes, zips, excludes and whens of a map; its keys may be parameters, those four and `others`.
// Throws UsageError.
Block read_block(const Node& map, const std::vector<std::string>& others);

// The file's defaults where the block says nothing. What the block says of a parameter, as an axis or in a
// zip, replaces what the defaults say of it; excludes and rules of both hold, the defaults' first. What the
// block's workload does not take is left out of the defaults, and a UsageError in the block itself, as is a
// wrong order of rules.
Block merge(const Block& defaults, const Block& own);

}  // namespace hydrajob
