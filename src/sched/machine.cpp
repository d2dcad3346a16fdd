#include "sched/machine.hpp"

#include <algorithm>
#include <variant>

#include "comm/threads.hpp"
#include "config/parameters.hpp"
#include "sched/agree.hpp"
#include "timing/ceilings.hpp"

namespace hydrajob {
namespace {

// The first element type that the experiment names: ceilings are of one.
DType dtype_of(const Experiment& experiment) {
  for (const Block& block : experiment.blocks) {
    for (const Axis& axis : block.axes) {
      if (axis.parameter == "dtype" && !axis.values.empty())
        return parse_dtype(to_string(axis.values.front()));
    }
  }
  const ParameterInfo* info = find_parameter("dtype");
  return info && info->fallback ? parse_dtype(to_string(*info->fallback)) : DType::bf16;
}

}  // namespace

Machine::Machine(Communicator& world, const MachineRequest& request) {
  const auto node = world.split_node();
  ranks_per_node_ = static_cast<int>(world.all_reduce_max(node->size()));
  threads_ = threads_per_rank(*node, request.threads);
  int local_size = node->size();
  if (request.ranks_per_node > ranks_per_node_) {
    ranks_per_node_ = local_size = request.ranks_per_node;
    if (request.threads == 0) threads_ = std::max(1, threads_ * node->size() / local_size);
  }
  agreed(world, [&] {
    device_ = make_device({DeviceKind::cpu, node->rank(), local_size, threads_});
    kernels_ = make_kernels(DeviceKind::cpu, threads_);
  });
}

Ceilings Machine::ceilings(Communicator& world, const Experiment& experiment) const {
  return agreed(world, [&] { return measure_ceilings(*device_, *kernels_, world, dtype_of(experiment)); });
}

}  // namespace hydrajob
