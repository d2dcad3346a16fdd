// What the processor and the machine say of themselves, for the provenance of results.
#pragma once

#include <cstddef>
#include <filesystem>
#include <map>
#include <string>

namespace hydrajob {

// "cpu_model", "cores" (this process may run on them), "cores_online", "isa" (vector extensions),
// "cache_l1d", "cache_l2", "cache_l3", "numa_nodes", "memory". What the system does not tell is left out.
// `root`: for tests.
std::map<std::string, std::string> describe_cpu(const std::filesystem::path& root = "/");

// Bytes of the last-level cache of the first core; 0 where the system does not tell.
std::size_t last_level_cache_bytes(const std::filesystem::path& root = "/");

}  // namespace hydrajob
