#include "sched/machine.hpp"

#include <algorithm>
#include <set>
#include <utility>

#include <fmt/format.h>

#include "base/error.hpp"
#include "base/log.hpp"
#include "base/process.hpp"
#include "base/units.hpp"
#include "comm/threads.hpp"
#include "grid/expand.hpp"
#include "sched/agree.hpp"
#include "timing/ceilings.hpp"

namespace hydrajob {

std::vector<std::string> visible_devices() {
  if (visible_gpus() > 0) return {"cuda", "cpu"};
  return {"cpu"};
}

Machine::Machine(Communicator& world, const Experiment& experiment, const MachineRequest& request)
    : Machine(
          world, [&](const std::string& best) { return devices_of(experiment, best); }, request) {}

Machine::Machine(Communicator& world, const std::string& device, const MachineRequest& request)
    : Machine(
          world, [&](const std::string& best) { return std::set{device == "auto" ? best : device}; },
          request) {}

Machine::Machine(Communicator& world, const Named& named_of, const MachineRequest& request) {
  const auto node = world.split_node();
  ranks_per_node_ = static_cast<int>(world.all_reduce_max(node->size()));
  devices_ = all_true(world, visible_gpus() > 0) ? visible_devices() : std::vector<std::string>{"cpu"};
  const std::set<std::string> named = named_of(devices_.front());
  if (named.count("cuda") > 0 && devices_.front() != "cuda" && world.rank() == 0) {
    const std::string why = why_no_gpu();
    log::warning("device cuda: " + (why.empty() ? "another rank has no GPU" : why));
  }
  DeviceRequest device;
  device.local_rank = node->rank();
  device.local_size = node->size();
  device.share_gpus = request.share_gpus;
  // Runs on the CPU have all of the rank's cores. Before threads are counted: bound ranks share fewer of
  // them.
  if (devices_.front() == "cuda" && named == std::set<std::string>{"cuda"}) {
    device.kind = DeviceKind::cuda;
    agreed(world, [&] { place_near_device(device); });
  }
  threads_ = threads_per_rank(*node, request.threads);
  int local_size = node->size();
  if (request.ranks_per_node > ranks_per_node_) {
    ranks_per_node_ = local_size = request.ranks_per_node;
    if (request.threads == 0) threads_ = std::max(1, threads_ * node->size() / local_size);
  }
  device.local_size = local_size;
  device.threads = threads_;
  for (const std::string& name : devices_) {
    device.kind = name == "cuda" ? DeviceKind::cuda : DeviceKind::cpu;
    if (named.count(name) > 0) add(world, name, device);
  }
  if (has("cuda") && !request.share_gpus) expect_own_gpus(world, *node);
}

// Two ranks on one GPU would time each other, and each count on all of its memory.
void Machine::expect_own_gpus(Communicator& world, Communicator& node) const {
  const auto facts = processor("cuda").device->describe();
  const std::vector<std::string> gpus = node.all_gather(facts.at("uuid"));
  agreed(world, [&] {
    for (std::size_t rank = 0; rank < gpus.size(); ++rank) {
      const auto first = std::find(gpus.begin(), gpus.end(), gpus[rank]) - gpus.begin();
      if (static_cast<std::size_t>(first) == rank) continue;
      throw UsageError(
          fmt::format("device 'cuda': ranks {} and {} of node {} share the GPU {}: expected a GPU "
                      "for each rank; experiments may share them with --share-gpus",
                      first, rank, host_name(), gpus[rank]));
    }
  });
}

void Machine::add(Communicator& world, const std::string& name, const DeviceRequest& request) {
  agreed(world, [&] {
    Processor processor;
    processor.device = make_device(request);
    processor.kernels = make_kernels(*processor.device, threads_);
    processors_.emplace(name, std::move(processor));
  });
}

CeilingsByDevice Machine::ceilings(Communicator& world, const Experiment& experiment) const {
  CeilingsByDevice ceilings;
  for (const std::string& name : devices_of(experiment, devices_.front())) {
    if (!has(name)) continue;
    const Processor& p = processor(name);
    for (const DType dtype : dtypes_of(experiment)) {
      ceilings[name][dtype] =
          agreed(world, [&] { return measure_ceilings(*p.device, *p.kernels, world, dtype); });
    }
  }
  return ceilings;
}

void Machine::reserve(const Plan& plan) const {
  constexpr double page = 4096;  // each buffer ends at one
  for (const auto& [name, processor] : processors_) {
    double bytes = 0;
    for (const PlannedRun& run : plan.runs) {
      if (!run.skip_reason.empty() || run.spec.device != name) continue;
      bytes =
          std::max(bytes, run.cost.memory.total() - run.cost.memory.peers + page * run.cost.memory.buffers);
    }
    if (bytes == 0) continue;
    // Pages and all, it may be a little more than what fits.
    bytes = std::min(bytes, static_cast<double>(processor.device->memory_available()));
    if (!processor.device->reserve(static_cast<std::size_t>(bytes))) {
      log::warning(fmt::format(
          "{}: {} of the {} that this rank may use could not be reserved: another process may hold "
          "the rest; each run asks for its own",
          processor.device->name(), format_bytes(bytes),
          format_bytes(static_cast<double>(processor.device->memory_available()))));
    }
  }
}

}  // namespace hydrajob
