#include "sched/provenance.hpp"

#include <algorithm>
#include <array>
#include <cstdlib>
#include <string_view>
#include <vector>

#include <fmt/format.h>
#include <nlohmann/json.hpp>

#include "base/process.hpp"
#include "build_info.hpp"
#include "comm/device_group.hpp"
#include "comm/mpi_session.hpp"
#include "comm/threads.hpp"

extern char** environ;

namespace hydrajob {
namespace {

using Json = nlohmann::ordered_json;

// By allow-list: environments hold secrets.
bool is_allowed(std::string_view variable) {
  constexpr std::array<std::string_view, 6> names = {"SLURM_JOB_ID",        "SLURM_JOB_PARTITION",
                                                     "SLURM_NNODES",        "SLURM_NTASKS",
                                                     "SLURM_RESTART_COUNT", "CUDA_VISIBLE_DEVICES"};
  constexpr std::array<std::string_view, 6> prefixes = {"OMP_",  "GOMP_", "KMP_",
                                                        "DNNL_", "NCCL_", "HYDRAJOB_"};
  // What the user may set of Open MPI; not what mpirun tells its ranks (addresses, keys, session folders).
  constexpr std::array<std::string_view, 8> mpi = {"OMPI_MCA_btl",   "OMPI_MCA_pml",  "OMPI_MCA_mtl",
                                                   "OMPI_MCA_coll",  "OMPI_MCA_mpi_", "OMPI_MCA_rmaps",
                                                   "OMPI_MCA_hwloc", "OMPI_MCA_opal_"};
  const auto starts = [&](std::string_view prefix) { return variable.substr(0, prefix.size()) == prefix; };
  return std::find(names.begin(), names.end(), variable) != names.end() ||
         std::any_of(prefixes.begin(), prefixes.end(), starts) || std::any_of(mpi.begin(), mpi.end(), starts);
}

Json allowed_environment() {
  std::vector<std::pair<std::string, std::string>> found;
  for (char** entry = environ; *entry; ++entry) {
    const std::string_view text(*entry);
    const auto equals = text.find('=');
    if (equals == std::string_view::npos || !is_allowed(text.substr(0, equals))) continue;
    found.emplace_back(text.substr(0, equals), text.substr(equals + 1));
  }
  std::sort(found.begin(), found.end());
  Json variables = Json::object();
  for (const auto& [name, value] : found) variables[name] = value;
  return variables;
}

Json facts_of(const Processor& processor) {
  Json facts{{"name", processor.device->name()}};
  for (const auto& [key, value] : processor.device->describe()) facts[key] = value;
  for (const auto& [library, version] : processor.kernels->libraries()) facts[library] = version;
  return facts;
}

// "device" is the best that the experiment names; another one beside it stands under its own name.
Json describe_rank(const Machine& machine) {
  Json rank{{"host", host_name()}, {"cores", affinity_list()}, {"threads", machine.threads()}};
  for (const std::string& name : machine.devices()) {
    if (!machine.has(name)) continue;
    rank[rank.contains("device") ? name : "device"] = facts_of(machine.processor(name));
  }
  return rank;
}

Json describe_build() {
  return {{"version", HJ_VERSION},          {"commit", build_info::commit},
          {"changed", build_info::changed}, {"code_digest", build_info::code_digest},
          {"compiler", HJ_COMPILER},        {"flags", HJ_FLAGS},
          {"build_type", HJ_BUILD_TYPE}};
}

Json describe_ceilings(const CeilingsByDevice& by_device) {
  Json all = Json::object();
  for (const auto& [device, by_dtype] : by_device) {
    for (const auto& [dtype, ceilings] : by_dtype) {
      all[device][name_of(dtype)] = {{"matmul_flops_per_s", ceilings.matmul_flops_per_s},
                                     {"memory_bytes_per_s", ceilings.memory_bytes_per_s},
                                     {"memory_bytes", ceilings.memory_bytes},
                                     {"cache_bytes", ceilings.cache_bytes},
                                     {"origin", ceilings.origin}};
    }
  }
  return all;
}

// What is no UTF-8 (the environment may hold anything) becomes a replacement character.
std::string text_of(const Json& json) {
  return json.dump(-1, ' ', false, Json::error_handler_t::replace);
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

std::string describe_environment(Communicator& world, const Machine& machine,
                                 const CeilingsByDevice& ceilings, const std::string& command_line) {
  const std::vector<std::string> ranks = world.all_gather(text_of(describe_rank(machine)));
  std::string text;
  if (world.rank() == 0) {
    Json environment{{"hydrajob", describe_build()},
                     {"command", command_line},
                     {"mpi", mpi_library_version()},
                     {"hdf5", HJ_HDF5_VERSION},
                     {"ceilings", describe_ceilings(ceilings)},
                     {"environment", allowed_environment()},
                     {"ranks", Json::array()}};
    for (const std::string& rank : ranks) environment["ranks"].push_back(Json::parse(rank));
    if (const std::string nccl = gpu_collectives_version(); !nccl.empty()) environment["nccl"] = nccl;
    text = text_of(environment);
  }
  return world.all_gather(text).front();
}

}  // namespace hydrajob
