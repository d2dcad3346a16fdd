#include "device/control_groups.hpp"

#include <fstream>

#include <fmt/format.h>

namespace hydrajob {
namespace {

namespace fs = std::filesystem;
using Visit = std::function<void(const fs::path&, GroupVersion)>;

// `group` as the process's own entry names it. In a container it may name a folder that is not mounted here;
// then the mount itself is the group.
void visit_up_to_root(const fs::path& mount, const fs::path& group, GroupVersion version,
                      const Visit& visit) {
  visit(mount, version);
  fs::path folder = mount;
  for (const auto& part : group.relative_path()) visit(folder /= part, version);
}

}  // namespace

// Lines of /proc/self/cgroup: "0::/path" (v2) or "4:memory:/path" (v1).
void for_each_group(const SystemRoots& roots, const std::string& controller, const Visit& visit) {
  std::ifstream in(roots.proc / "self/cgroup");
  for (std::string line; std::getline(in, line);) {
    const auto first = line.find(':');
    const auto second = line.find(':', first + 1);
    if (first == std::string::npos || second == std::string::npos) continue;
    const std::string controllers = fmt::format(",{},", line.substr(first + 1, second - first - 1));
    const fs::path group = line.substr(second + 1);
    if (controllers == ",,") visit_up_to_root(roots.cgroup, group, GroupVersion::v2, visit);
    if (controllers.find("," + controller + ",") != std::string::npos) {
      visit_up_to_root(roots.cgroup / controller, group, GroupVersion::v1, visit);
    }
  }
}

}  // namespace hydrajob
