// What a run costs, from its shapes alone: FLOPs, bytes, memory, the roofline time on a machine's ceilings,
// and the time that is predicted from it.
#pragma once

#include <cstdint>
#include <map>
#include <string>

#include "config/machine_description.hpp"
#include "grid/run_spec.hpp"

namespace hydrajob {

// Measured on the machine (timing/ceilings.hpp), or described (config/machine_description.hpp). Of one rank,
// all ranks busy.
struct Ceilings {
  double matmul_flops_per_s = 0;  // one large product, of the run's dtype
  double memory_bytes_per_s = 0;  // copy, bytes read plus bytes written
  double memory_bytes = 0;        // what a rank may use
  std::string origin;             // how they are known: "measured"
  double cache_bytes = 0;         // of the last-level caches within its reach, together
  // Of an element of a weight as the kernels keep it: a CPU without products of the dtype holds f32. 0: as
  // the dtype.
  double packed_element_bytes = 0;
  // How attention is cut (AttentionCuts in kernels/attention.hpp): a row's range of tokens into parts no
  // shorter than this, 0: not by a plan on the device; and the partial results that there is place for beside
  // those of whole ranges.
  double shortest_part = 0;
  double spare_results = 0;
  double kernels_bytes = 0;  // that the kernels hold, whatever runs
  // Of a machine that was described; not measured on the one that is there.
  double load_bytes_per_s = 0;  // weights out of a file; 0: loading is left out
  Links links = {};
  Efficiency efficiency = {};
};

// By device, then by the element type of a run's products.
using CeilingsByDevice = std::map<std::string, std::map<DType, Ceilings>>;

// Of one rank. A phase's time is at least max(flops / rate, bytes / bandwidth), added over its parts that
// cannot overlap: the roofline. The prediction has what runs reach of rate and bandwidth in it, what a layer
// adds, and the collectives, which overlap with nothing; it is the roofline where none of these is known.
struct PhaseCost {
  double flops = 0;
  double bytes = 0;
  double roofline_s = 0;
  double collectives_s = 0;  // what ranks of a group wait for each other's data
  double predicted_s = 0;
};

struct MemoryCost {
  double weights = 0;  // bytes
  double kv_cache = 0;
  double activations = 0;
  double workspace = 0;
  double peers = 0;    // shared with the other GPUs of the group, in a block of its own
  double buffers = 0;  // that these bytes are in
  double total() const { return weights + kv_cache + activations + workspace + peers; }
};

struct RunCost {
  PhaseCost document;     // needles: the shared tree, once a run
  PhaseCost prefill;      // the shared tree (generate) and the unique prompts, once an iteration
  PhaseCost decode_step;  // the mean step (generate, needles), or the one operation (attention)
  PhaseCost iteration;    // prefill and all decode steps
  MemoryCost memory;
  double predicted_s = 0;    // the run whole: document, (warmup + iterations) iterations; loading left out
  double collectives_s = 0;  // of predicted_s
  double load_s = 0;         // before it, where its weights are not loaded yet
};

// Counted from the shapes: products (2 FLOPs a multiplication), the attention's two, the LM head, sampling.
// Bytes are what memory has to move: weights once a pass, keys and values read and written, logits;
// activations stay in caches. They are counted in the run's dtype: only memory counts weights as they are
// held. Collectives (grid/collectives.hpp) are those of the engine: a sum over ranks of each embedding and
// two of each layer, and of each draw what every rank found best. What ceilings do not know (0) does not
// bound the time. mode vllm: as paged.
RunCost cost_of(const RunSpec& spec, const Ceilings& ceilings);

// Read before each iteration of the attention workload where l2 is cold: twice the last-level caches, and not
// less than leaves nothing of the private caches above them, or of caches that the system does not tell of.
std::int64_t l2_flush_bytes(const Ceilings& ceilings);

// `auto`: whether a shared segment of `length` tokens is read once for all `sequences` below it (hydragen) or
// once a sequence (paged). Heads of one rank. The bytes decide, on every machine alike: reading once moves
// less, but its partial results go through memory once more. Products do not count. There are as many either
// way, and those of one sequence have only the rows of the query heads on a KV head: such thin ones wait for
// their reads, and are never faster than one over all sequences.
bool sharing_pays(std::int64_t sequences, std::int64_t length, std::int64_t n_heads, std::int64_t n_kv_heads,
                  std::int64_t head_dim, DType dtype);

}  // namespace hydrajob
