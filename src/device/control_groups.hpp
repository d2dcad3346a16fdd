// The control groups that this process stands in: what a container or a batch system limits it to.
#pragma once

#include <filesystem>
#include <functional>
#include <string>

namespace hydrajob {

// Where the kernel tells; other folders for tests.
struct SystemRoots {
  std::filesystem::path proc = "/proc";
  std::filesystem::path cgroup = "/sys/fs/cgroup";
};

enum class GroupVersion { v1, v2 };

// Calls `visit` with the folder of the group that has the process under this controller ("memory", "cpu"),
// and of each group above it: any of them may have a limit.
void for_each_group(
    const SystemRoots& roots, const std::string& controller,
    const std::function<void(const std::filesystem::path& folder, GroupVersion version)>& visit);

}  // namespace hydrajob
