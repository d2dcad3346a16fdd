#include "grid/described_machine.hpp"

namespace hydrajob {
namespace {

// 0: not known.
double known(const std::map<DType, double>& values, DType dtype) {
  const auto found = values.find(dtype);
  return found == values.end() ? 0 : found->second;
}

}  // namespace

CeilingsByDevice ceilings_of(const MachineDescription& machine, std::int64_t ranks) {
  CeilingsByDevice ceilings;
  for (const DType dtype : every_dtype) {
    Ceilings& c = ceilings[machine.device][dtype];
    c.matmul_flops_per_s = known(machine.matmul_flops_per_s, dtype);
    c.memory_bytes_per_s = machine.memory_bytes_per_s;
    c.memory_bytes = machine.memory_bytes;
    c.origin = machine.origin;
    c.cache_bytes = machine.cache_bytes;
    c.packed_element_bytes = known(machine.packed_element_bytes, dtype);
    c.shortest_part = machine.shortest_part;
    c.spare_results = machine.spare_results;
    c.kernels_bytes = machine.kernels_bytes;
    c.load_bytes_per_s = machine.load_bytes_per_s;
    c.links = machine.links;
    if (ranks > 0 && ranks <= machine.links.ranks_per_node) c.links.ranks_per_node = 0;
    c.efficiency = machine.efficiency;
  }
  return ceilings;
}

}  // namespace hydrajob
