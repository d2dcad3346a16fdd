#include "sched/machine.hpp"

#include <algorithm>
#include <utility>

#include "comm/threads.hpp"
#include "grid/expand.hpp"
#include "sched/agree.hpp"
#include "timing/ceilings.hpp"

namespace hydrajob {

Machine::Machine(Communicator& world, const MachineRequest& request) {
  const auto node = world.split_node();
  ranks_per_node_ = static_cast<int>(world.all_reduce_max(node->size()));
  threads_ = threads_per_rank(*node, request.threads);
  int local_size = node->size();
  if (request.ranks_per_node > ranks_per_node_) {
    ranks_per_node_ = local_size = request.ranks_per_node;
    if (request.threads == 0) threads_ = std::max(1, threads_ * node->size() / local_size);
  }
  DeviceRequest device;
  device.local_rank = node->rank();
  device.local_size = local_size;
  device.threads = threads_;
  if (all_true(world, visible_gpus() > 0)) {
    device.kind = DeviceKind::cuda;
    add(world, "cuda", device);
  }
  device.kind = DeviceKind::cpu;
  add(world, "cpu", device);
}

void Machine::add(Communicator& world, const std::string& name, const DeviceRequest& request) {
  agreed(world, [&] {
    Processor processor;
    processor.device = make_device(request);
    processor.kernels = make_kernels(*processor.device, threads_);
    processors_.emplace(name, std::move(processor));
  });
  devices_.push_back(name);
}

CeilingsByDevice Machine::ceilings(Communicator& world, const Experiment& experiment) const {
  CeilingsByDevice ceilings;
  for (const std::string& name : devices_of(experiment, devices_.front())) {
    if (processors_.count(name) == 0) continue;
    const Processor& p = processor(name);
    for (const DType dtype : dtypes_of(experiment)) {
      ceilings[name][dtype] =
          agreed(world, [&] { return measure_ceilings(*p.device, *p.kernels, world, dtype); });
    }
  }
  return ceilings;
}

}  // namespace hydrajob
