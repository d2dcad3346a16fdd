// What the processor and the machine say of themselves, for the provenance of results.
#pragma once

#include <cstddef>
#include <filesystem>
#include <map>
#include <string>
#include <vector>

namespace hydrajob {

// "cpu_model", "cores" (this process may run on them), "cores_online", "isa" (vector extensions),
// "cache_l1d", "cache_l2", "cache_l3", "numa_nodes", "memory". What the system does not tell is left out.
// `root`: for tests.
std::map<std::string, std::string> describe_cpu(const std::filesystem::path& root = "/");

// The CPUs that the calling thread may run on; none where the system does not tell.
std::vector<int> cpus_allowed();

// Bytes of the last-level caches of `cpus` together: one that several of them share counts once. 0 where the
// system does not tell.
std::size_t last_level_cache_bytes(const std::filesystem::path& root = "/",
                                   const std::vector<int>& cpus = cpus_allowed());

}  // namespace hydrajob
