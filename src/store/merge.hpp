// Several stores as one.
#pragma once

#include <cstddef>
#include <filesystem>
#include <vector>

namespace hydrajob {

// Writes the runs of all `stores` (their segments too) into a new file `target`; a run that stands in several
// keeps its preferred attempt. Returns the number of runs. Throws StoreError, also when `target` is there
// already.
std::size_t merge_stores(const std::vector<std::filesystem::path>& stores,
                         const std::filesystem::path& target);

}  // namespace hydrajob
