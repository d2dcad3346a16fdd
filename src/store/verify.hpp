// Whether a store is whole.
#pragma once

#include <filesystem>
#include <string>
#include <vector>

namespace hydrajob {

// Everything that is wrong, one line each; empty: the store is whole. Looks at the file, every segment and
// the journals. Changes nothing.
std::vector<std::string> verify_store(const std::filesystem::path& store);

}  // namespace hydrajob
