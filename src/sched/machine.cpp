#include "sched/machine.hpp"

#include <algorithm>
#include <set>

#include "comm/threads.hpp"
#include "config/parameters.hpp"
#include "sched/agree.hpp"
#include "timing/ceilings.hpp"

namespace hydrajob {
namespace {

// The element types among an axis's values.
void add_dtypes(std::set<DType>& dtypes, const Axis& axis) {
  if (axis.parameter != "dtype") return;
  for (const Value& value : axis.values) dtypes.insert(parse_dtype(to_string(value)));
}

// Of all runs of the experiment; the default where it names none.
std::set<DType> dtypes_of(const Experiment& experiment) {
  std::set<DType> dtypes;
  for (const Block& block : experiment.blocks) {
    for (const Axis& axis : block.axes) add_dtypes(dtypes, axis);
    for (const Zip& zip : block.zips) {
      for (const Axis& axis : zip) add_dtypes(dtypes, axis);
    }
    for (const When& when : block.whens) {
      for (const Axis& axis : when.axes) add_dtypes(dtypes, axis);
    }
  }
  const ParameterInfo* info = find_parameter("dtype");
  if (dtypes.empty() && info && info->fallback) dtypes.insert(parse_dtype(to_string(*info->fallback)));
  return dtypes;
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

CeilingsByDtype Machine::ceilings(Communicator& world, const Experiment& experiment) const {
  CeilingsByDtype ceilings;
  for (const DType dtype : dtypes_of(experiment)) {
    ceilings[dtype] = agreed(world, [&] { return measure_ceilings(*device_, *kernels_, world, dtype); });
  }
  return ceilings;
}

}  // namespace hydrajob
