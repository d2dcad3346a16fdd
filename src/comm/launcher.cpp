#include "comm/launcher.hpp"

#include <algorithm>
#include <charconv>
#include <cstdlib>
#include <string_view>
#include <thread>

#include "comm/threads.hpp"
#include "device/cpu_info.hpp"
#include "device/cpu_quota.hpp"

namespace hydrajob {
namespace {

std::optional<int> parse(std::string_view text) {
  int value = 0;
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), value);
  if (error != std::errc() || end != text.data() + text.size()) return std::nullopt;
  return value;
}

std::optional<int> number_in(const char* variable) {
  const char* text = std::getenv(variable);
  return text ? parse(text) : std::nullopt;
}

bool started_by_mpirun() {
  return std::getenv("OMPI_COMM_WORLD_SIZE") != nullptr || std::getenv("MPI_LOCALNRANKS") != nullptr;
}

std::optional<int> slurm_local_size() {
  const char* list = std::getenv("SLURM_STEP_TASKS_PER_NODE");
  const auto node = number_in("SLURM_NODEID");
  if (!slurm_step_tasks() || !list || !node) return std::nullopt;
  return tasks_on_node(list, *node);
}

// Whether `ranks` on this node have fewer cores than ranks. A rank that the launcher bound to one core says
// nothing of the others' cores; the launcher itself refuses to bind two to one.
bool oversubscribed(int ranks) {
  const bool bound = std::getenv("OMPI_MCA_orte_bound_at_launch") != nullptr && cpus_allowed().size() == 1;
  const int all = static_cast<int>(std::thread::hardware_concurrency());
  return ranks > (bound ? within_cpu_quota(all) : cores_available());
}

}  // namespace

ExitCode lost_job_code() {
  return std::getenv(supervised_variable) ? ExitCode::start_again : ExitCode::interrupted;
}

int launcher_rank() {
  for (const char* variable : {"OMPI_COMM_WORLD_RANK", "PMIX_RANK", "PMI_RANK"}) {
    if (const auto rank = number_in(variable)) return *rank;
  }
  return slurm_step_tasks() ? number_in("SLURM_PROCID").value_or(0) : 0;
}

std::optional<int> launcher_local_size() {
  for (const char* variable : {"OMPI_COMM_WORLD_LOCAL_SIZE", "MPI_LOCALNRANKS"}) {
    if (const auto size = number_in(variable)) return size;
  }
  return slurm_local_size();
}

std::optional<int> slurm_step_tasks() {
  if (started_by_mpirun() || !number_in("SLURM_STEP_ID")) return std::nullopt;
  return number_in("SLURM_STEP_NUM_TASKS");
}

std::optional<int> tasks_on_node(const std::string& tasks_per_node, int node) {
  std::string_view rest = tasks_per_node;
  while (!rest.empty()) {
    const std::string_view entry = rest.substr(0, rest.find(','));
    rest.remove_prefix(std::min(rest.size(), entry.size() + 1));
    const auto repeat = entry.find("(x");
    const auto tasks = parse(entry.substr(0, repeat));
    const auto nodes = repeat == std::string_view::npos
                           ? std::optional<int>(1)
                           : parse(entry.substr(repeat + 2, entry.find(')') - repeat - 2));
    if (!tasks || !nodes) return std::nullopt;
    if (node < *nodes) return tasks;
    node -= *nodes;
  }
  return std::nullopt;
}

void avoid_multicast() {
  setenv("NCCL_NVLS_ENABLE", "0", /*overwrite=*/0);
}

void yield_when_oversubscribed() {
  const auto ranks = launcher_local_size();
  if (ranks && oversubscribed(*ranks)) setenv("OMPI_MCA_mpi_yield_when_idle", "1", /*overwrite=*/0);
}

}  // namespace hydrajob
