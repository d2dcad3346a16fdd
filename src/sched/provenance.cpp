#include "sched/provenance.hpp"

#include <algorithm>
#include <array>
#include <cstdlib>
#include <string_view>
#include <vector>

#include <fmt/format.h>

#include "base/process.hpp"
#include "build_info.hpp"
#include "comm/mpi_session.hpp"
#include "comm/threads.hpp"
#include "sched/json.hpp"

extern char** environ;

namespace hydrajob {
namespace {

// By allow-list: environments hold secrets.
bool is_allowed(std::string_view variable) {
  constexpr std::array<std::string_view, 6> names = {"SLURM_JOB_ID",        "SLURM_JOB_PARTITION",
                                                     "SLURM_NNODES",        "SLURM_NTASKS",
                                                     "SLURM_RESTART_COUNT", "CUDA_VISIBLE_DEVICES"};
  constexpr std::array<std::string_view, 5> prefixes = {"OMP_", "GOMP_", "KMP_", "DNNL_", "HYDRAJOB_"};
  // What the user may set of Open MPI; not what mpirun tells its ranks (addresses, keys, session folders).
  constexpr std::array<std::string_view, 8> mpi = {"OMPI_MCA_btl",   "OMPI_MCA_pml",  "OMPI_MCA_mtl",
                                                   "OMPI_MCA_coll",  "OMPI_MCA_mpi_", "OMPI_MCA_rmaps",
                                                   "OMPI_MCA_hwloc", "OMPI_MCA_opal_"};
  const auto starts = [&](std::string_view prefix) { return variable.substr(0, prefix.size()) == prefix; };
  return std::find(names.begin(), names.end(), variable) != names.end() ||
         std::any_of(prefixes.begin(), prefixes.end(), starts) || std::any_of(mpi.begin(), mpi.end(), starts);
}

std::string allowed_environment() {
  std::vector<std::pair<std::string, std::string>> found;
  for (char** entry = environ; *entry; ++entry) {
    const std::string_view text(*entry);
    const auto equals = text.find('=');
    if (equals == std::string_view::npos || !is_allowed(text.substr(0, equals))) continue;
    found.emplace_back(text.substr(0, equals), text.substr(equals + 1));
  }
  std::sort(found.begin(), found.end());
  JsonObject object;
  for (const auto& [name, value] : found) object.add(name, value);
  return object.text();
}

std::string describe_rank(const Machine& machine) {
  JsonObject device;
  device.add("name", machine.device().name());
  for (const auto& [key, value] : machine.device().describe()) device.add(key, value);
  return JsonObject()
      .add("host", host_name())
      .add("cores", affinity_list())
      .add("threads", machine.threads())
      .add_json("device", device.text())
      .text();
}

std::string describe_build() {
  return JsonObject()
      .add("version", HJ_VERSION)
      .add("commit", build_info::commit)
      .add("changed", build_info::changed)
      .add("code_digest", build_info::code_digest)
      .add("compiler", HJ_COMPILER)
      .add("flags", HJ_FLAGS)
      .add("build_type", HJ_BUILD_TYPE)
      .text();
}

std::string describe_ceilings(const CeilingsByDtype& by_dtype) {
  JsonObject all;
  for (const auto& [dtype, ceilings] : by_dtype) {
    JsonObject object;
    object.add("matmul_flops_per_s", ceilings.matmul_flops_per_s)
        .add("memory_bytes_per_s", ceilings.memory_bytes_per_s)
        .add("memory_bytes", ceilings.memory_bytes)
        .add("origin", ceilings.origin);
    all.add_json(name_of(dtype), object.text());
  }
  return all.text();
}

}  // namespace

std::string version_text() {
  const std::string commit = std::string(build_info::commit).substr(0, 12);
  const std::string origin =
      commit.empty() ? "" : fmt::format(" (commit {}{})", commit, build_info::changed ? ", changed" : "");
  return fmt::format("hydrajob {}{}, {}, {}", HJ_VERSION, origin, HJ_COMPILER, HJ_BUILD_TYPE);
}

std::string code_digest() {
  return build_info::code_digest;
}

std::string describe_environment(Communicator& world, const Machine& machine, const CeilingsByDtype& ceilings,
                                 const std::string& command_line) {
  const std::vector<std::string> ranks = world.all_gather(describe_rank(machine));
  std::string text;
  if (world.rank() == 0) {
    text = JsonObject()
               .add_json("hydrajob", describe_build())
               .add("command", command_line)
               .add("mpi", mpi_library_version())
               .add("hdf5", HJ_HDF5_VERSION)
               .add_json("ceilings", describe_ceilings(ceilings))
               .add_json("environment", allowed_environment())
               .add_json("ranks", json_array(ranks))
               .text();
  }
  return world.all_gather(text).front();
}

}  // namespace hydrajob
