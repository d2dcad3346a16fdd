// A machine that may not be there, as `--machine` reads it from configs/machines/*.yaml: what a rank can do
// there, how ranks reach each other, and how much of that runs were measured to reach. docs/scale.md.
#pragma once

#include <cstdint>
#include <filesystem>
#include <map>
#include <string>

#include "base/dtype.hpp"

namespace hydrajob {

// From one rank to another, at one level of a machine.
struct Link {
  double latency_s = 0;    // of one message
  double bytes_per_s = 0;  // that a rank sends, while it receives as much; 0: not known, costs nothing
};

struct Links {
  Link node;  // collectives between ranks of a node
  Link peer;  // a GPU that reads the memory of another of its node; not known: it takes part in collectives
  Link network;                     // between nodes, of each rank while all of its node send
  std::int64_t ranks_per_node = 0;  // 0: all are on one node
};

// What runs reach of the ceilings, and what comes on top; the defaults: all, and nothing.
struct Efficiency {
  double products = 1;     // of the rate of one large product: those with the weights
  double attention = 1;    // of the same rate: attention's two
  double memory = 1;       // of the bandwidth of a copy
  double layer_s = 0;      // of a layer in a pass, whatever its rows: launches, and what is between products
  double attention_s = 0;  // and with attention
  double operation = 1;    // attention alone, without a model: in place of `attention`
  double operation_s = 0;  // likewise; where a file does not say, as in a model
};

struct MachineDescription {
  std::string name;
  std::string origin;           // how the figures are known
  std::string device = "cuda";  // "cpu", "cuda": what a rank is
  std::map<DType, double>
      matmul_flops_per_s;         // of one large product; of a dtype that is not there: not known
  double memory_bytes_per_s = 0;  // of a copy, bytes read plus bytes written
  double memory_bytes = 0;        // that a rank may use
  double cache_bytes = 0;
  // As Ceilings in grid/cost_model.hpp, and the next three; of a dtype that is not there: as the dtype.
  std::map<DType, double> packed_element_bytes;
  double shortest_part = 0;
  double spare_results = 0;
  double kernels_bytes = 0;
  double load_bytes_per_s = 0;  // at which a rank gets weights from a file; 0: loading is left out
  Links links;
  Efficiency efficiency;
};

// Throws UsageError with file:line:column.
MachineDescription load_machine(const std::filesystem::path& path);
MachineDescription parse_machine(const std::string& yaml, const std::string& origin);

}  // namespace hydrajob
