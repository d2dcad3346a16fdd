#include "config/machine_description.hpp"

#include "base/file.hpp"
#include "config/document.hpp"
#include "config/fields.hpp"

namespace hydrajob {
namespace {

std::map<DType, double> read_by_dtype(Fields& fields, const std::string& name) {
  std::map<DType, double> values;
  const Node* map = fields.take(name);
  if (map == nullptr) return values;
  Fields by_dtype(*map, name);
  for (const DType dtype : every_dtype) {
    const std::string key(name_of(dtype));
    if (map->find(key) != nullptr) values[dtype] = by_dtype.positive(key);
    by_dtype.take(key);
  }
  by_dtype.finish();
  return values;
}

Link read_link(Fields& fields, const std::string& key) {
  const Node* map = fields.take(key);
  if (map == nullptr) return {};
  Fields of_link(*map, key);
  Link link;
  link.latency_s = of_link.not_negative("latency_s", 0);
  link.bytes_per_s = of_link.positive("bytes_per_s");
  of_link.finish();
  return link;
}

void read_links(Fields& fields, Links& links) {
  const Node* map = fields.take("links");
  if (map == nullptr) return;
  Fields of_links(*map, "links");
  links.node = read_link(of_links, "node");
  links.peer = read_link(of_links, "peer");
  links.network = read_link(of_links, "network");
  of_links.finish();
}

Efficiency read_efficiency(Fields& fields) {
  Efficiency e;
  const Node* map = fields.take("efficiency");
  if (map == nullptr) return e;
  Fields of_runs(*map, "efficiency");
  e.products = of_runs.fraction("products", e.products);
  e.attention = of_runs.fraction("attention", e.attention);
  e.memory = of_runs.fraction("memory", e.memory);
  e.layer_s = of_runs.not_negative("layer_s", e.layer_s);
  e.attention_s = of_runs.not_negative("attention_s", e.attention_s);
  e.operation = of_runs.fraction("operation", e.attention);
  e.operation_s = of_runs.not_negative("operation_s", e.attention_s);
  of_runs.finish();
  return e;
}

}  // namespace

MachineDescription parse_machine(const std::string& yaml, const std::string& origin) {
  const Node document = parse_document(yaml, origin);
  Fields fields(document, "machine");
  MachineDescription m;
  m.name = fields.text("name", std::filesystem::path(origin).stem().string());
  m.origin = fields.text("origin");
  m.device = fields.text("device");
  m.links.ranks_per_node = fields.integer("ranks_per_node", 1);
  m.matmul_flops_per_s = read_by_dtype(fields, "matmul_flops_per_s");
  m.memory_bytes_per_s = fields.positive("memory_bytes_per_s");
  m.memory_bytes = fields.positive("memory_bytes");
  m.cache_bytes = fields.not_negative("cache_bytes", 0);
  m.packed_element_bytes = read_by_dtype(fields, "packed_element_bytes");
  m.shortest_part = fields.not_negative("shortest_part", 0);
  m.spare_results = fields.not_negative("spare_results", 0);
  m.kernels_bytes = fields.not_negative("kernels_bytes", 0);
  m.load_bytes_per_s = fields.not_negative("load_bytes_per_s", 0);
  read_links(fields, m.links);
  m.efficiency = read_efficiency(fields);
  fields.finish();
  if (m.device != "cpu" && m.device != "cuda") {
    fail_at(fields.place_of("device"), unknown_name("device", m.device, {"cpu", "cuda"}));
  }
  return m;
}

MachineDescription load_machine(const std::filesystem::path& path) {
  return parse_machine(read_file(path), path.string());
}

}  // namespace hydrajob
