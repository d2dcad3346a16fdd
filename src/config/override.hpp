// --set key=value: what the command line says wins over the file.
#pragma once

#include <string>

#include "config/document.hpp"

namespace hydrajob {

// Replaces the key in the file's defaults and in every block, and takes it out of every `zip` and every
// rule's `set`, so that the given value is the run's wherever the file said another. The value may be a list
// ("[1, 2]" or "1,2") or a range, and hold variables as in the file. Keys: every parameter, `name` (of the
// file) and `store`. Throws UsageError.
void apply_override(Node& file, const std::string& key_and_value);

}  // namespace hydrajob
