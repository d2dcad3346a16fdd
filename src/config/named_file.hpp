// Files that are named short: `tiny` is models/tiny.yaml beside the experiment's file.
#pragma once

#include <filesystem>
#include <string>

#include "config/place.hpp"

namespace hydrajob {

// `name`: with a '/' or ending in .yaml or .yml a path, else <folder>/<name>.yaml. `kind`: "model". Throws
// UsageError at `place` where there is no such file, with the nearest name that the folder has.
std::filesystem::path named_file(const std::string& kind, const std::string& name,
                                 const std::filesystem::path& folder, const Place& place);

}  // namespace hydrajob
