#include "sched/machine.hpp"

#include <algorithm>

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
  agreed(world, [&] {
    device_ = make_device({DeviceKind::cpu, node->rank(), local_size, threads_});
    kernels_ = make_kernels(*device_, threads_);
  });
}

CeilingsByDtype Machine::ceilings(Communicator& world, const Experiment& experiment) const {
  CeilingsByDtype ceilings;
  for (const DType dtype : dtypes_of(experiment)) {
    ceilings[dtype] = agreed(world, [&] { return measure_ceilings(*device_, *kernels_, world, dtype); });
  }
  return ceilings;
}

}  // namespace hydrajob
