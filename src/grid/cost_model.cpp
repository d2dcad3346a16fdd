#include "grid/cost_model.hpp"

#include <algorithm>
#include <cmath>
#include <vector>

#include "grid/collectives.hpp"
#include "grid/token_counts.hpp"

namespace hydrajob {
namespace {

// What one rank (the first, whose share is the largest) holds of the model or of the operation.
struct RankShape {
  double n_layers = 1;
  double hidden = 0;  // 0, as the next two: no model around the attention
  double intermediate = 0;
  double vocab = 0;
  double n_heads = 0;
  double n_kv_heads = 0;
  double head_dim = 0;
  double element = 0;  // bytes

  double projection_weights() const {  // elements, of one layer
    const double qkv = hidden * (n_heads + 2 * n_kv_heads) * head_dim;
    return qkv + n_heads * head_dim * hidden + 3 * hidden * intermediate;
  }
  double kv_bytes() const { return n_layers * 2 * n_kv_heads * head_dim * element; }  // of one token
};

double share(std::int64_t whole, int degree) {
  return std::ceil(static_cast<double>(whole) / static_cast<double>(degree));
}

RankShape shape_of(const RunSpec& spec) {
  RankShape shape;
  const int degree = spec.tensor_parallel;
  shape.element = static_cast<double>(size_of(spec.dtype));
  if (spec.workload == WorkloadKind::attention) {
    shape.n_heads = share(spec.n_heads, degree);
    shape.n_kv_heads = share(spec.n_kv_heads, degree);  // fewer than ranks: replicated, one each
    shape.head_dim = static_cast<double>(spec.head_dim);
    return shape;
  }
  const Architecture& a = spec.architecture;
  shape.n_layers = static_cast<double>(a.n_layers);
  shape.hidden = static_cast<double>(a.hidden);
  shape.intermediate = share(a.intermediate, degree);
  shape.vocab = share(a.vocab, degree);
  shape.n_heads = share(a.n_heads, degree);
  shape.n_kv_heads = share(a.n_kv_heads, degree);
  shape.head_dim = static_cast<double>(a.head_dim);
  return shape;
}

PhaseCost operator+(const PhaseCost& a, const PhaseCost& b) {
  return {a.flops + b.flops, a.bytes + b.bytes, a.roofline_s + b.roofline_s,
          a.collectives_s + b.collectives_s, a.predicted_s + b.predicted_s};
}

PhaseCost operator*(double times, const PhaseCost& a) {
  return {times * a.flops, times * a.bytes, times * a.roofline_s, times * a.collectives_s,
          times * a.predicted_s};
}

// `reached`: of the matrix ceiling.
PhaseCost part(double flops, double bytes, double reached, const Ceilings& ceilings) {
  const double compute_s = ceilings.matmul_flops_per_s > 0 ? flops / ceilings.matmul_flops_per_s : 0;
  const double memory_s = ceilings.memory_bytes_per_s > 0 ? bytes / ceilings.memory_bytes_per_s : 0;
  return {flops, bytes, std::max(compute_s, memory_s), 0,
          std::max(compute_s / reached, memory_s / ceilings.efficiency.memory)};
}

PhaseCost collective(double seconds) {
  return {0, 0, 0, seconds, seconds};
}

PhaseCost added_time(double seconds) {
  return {0, 0, 0, 0, seconds};
}

// `auto` shares all segments as soon as it pays for one, as the engine does.
bool shares(const RunSpec& spec, const RankShape& shape) {
  if (spec.mode == Mode::hydragen) return true;
  if (spec.mode != Mode::automatic) return false;
  return std::any_of(spec.tree.begin(), spec.tree.end(), [&](const TreeLevel& level) {
    return sharing_pays(spec.batch / level.nodes, level.length, static_cast<std::int64_t>(shape.n_heads),
                        static_cast<std::int64_t>(shape.n_kv_heads),
                        static_cast<std::int64_t>(shape.head_dim), spec.dtype);
  });
}

class CostModel {
 public:
  CostModel(const RunSpec& spec, const Ceilings& ceilings)
      : spec_(spec),
        ceilings_(ceilings),
        shape_(shape_of(spec)),
        span_(span_of(spec.tensor_parallel, ceilings.links.ranks_per_node)),
        shares_(shares(spec, shape_)),
        step_(step_pass(spec)) {
    if (has_model(spec.workload)) passes_ = prefill_passes(spec);
  }

  RunCost cost() const {
    RunCost cost;
    if (has_model(spec_.workload)) {
      const std::int64_t steps = spec_.new_tokens - 1;  // the first token comes from the prefill
      const bool once = spec_.workload == WorkloadKind::needles;
      if (once) cost.document = passes_over(count_tree(spec_, reads()), false);
      cost.prefill = prefill(once ? count_prompts(spec_, reads()) : count_prefill(spec_, reads()));
      if (steps > 0) cost.decode_step = decode_step();
      cost.iteration = cost.prefill + static_cast<double>(steps) * cost.decode_step;
    } else {
      cost.decode_step = operation();
      cost.iteration = cost.decode_step;
    }
    cost.memory = memory();
    const double iterations = static_cast<double>(spec_.warmup) + spec_.iterations;
    cost.predicted_s = cost.document.predicted_s + iterations * cost.iteration.predicted_s;
    cost.collectives_s = cost.document.collectives_s + iterations * cost.iteration.collectives_s;
    if (ceilings_.load_bytes_per_s > 0 && spec_.weights != "random")
      cost.load_s = cost.memory.weights / ceilings_.load_bytes_per_s;
    return cost;
  }

 private:
  SharedReads reads() const {
    if (shares_) return SharedReads::once;
    return spec_.mode == Mode::noshared ? SharedReads::own_copy : SharedReads::per_sequence;
  }

  // --- generate, needles ---

  PhaseCost prefill(const TokenCounts& counts) const {
    PhaseCost total =
        passes_over(counts, false) + head(static_cast<double>(first_logits_rows(spec_))) + sampling();
    if (spec_.mode == Mode::noattention) return total;
    return total + products(0, 2 * counts.copied * shape_.kv_bytes());
  }

  // Without a head. `peers`: its sums are read from their memory.
  PhaseCost passes_over(const TokenCounts& counts, bool peers) const {
    const PhaseCost total = projections(counts) + sums(counts, peers);
    return spec_.mode == Mode::noattention ? total : total + attention(counts);
  }

  // The mean over steps 1 … new_tokens - 1; step i sees suffix + i own tokens, its own included.
  PhaseCost decode_step() const {
    const double own = static_cast<double>(spec_.suffix) + static_cast<double>(spec_.new_tokens) / 2;
    const TokenCounts counts = count_step(spec_, reads(), own);
    return passes_over(counts, peers_read()) + head(static_cast<double>(spec_.batch)) + sampling();
  }

  PhaseCost products(double flops, double bytes) const {
    return part(flops, bytes, ceilings_.efficiency.products, ceilings_);
  }

  PhaseCost projections(const TokenCounts& counts) const {
    const double weights = shape_.n_layers * shape_.projection_weights();
    return products(2 * counts.rows * weights, counts.passes * weights * shape_.element) +
           added_time(counts.passes * shape_.n_layers * ceilings_.efficiency.layer_s);
  }

  PhaseCost attention(const TokenCounts& counts) const {
    const double flops = 4 * counts.seen * shape_.n_layers * shape_.n_heads * shape_.head_dim;
    return part(flops, (counts.read + counts.rows) * shape_.kv_bytes(), ceilings_.efficiency.attention,
                ceilings_) +
           added_time(counts.passes * shape_.n_layers * ceilings_.efficiency.attention_s);
  }

  PhaseCost head(double rows) const {
    const double weights = shape_.hidden * shape_.vocab;
    return products(2 * rows * weights, weights * shape_.element + rows * shape_.vocab * sizeof(float));
  }

  // One comparison a logit when greedy; scaling, two logarithms and a sum more for the Gumbel maximum. The
  // nucleus reads the logits four times more: their maximum, and three passes of its radix select. Each rank
  // has the best of its part of the vocabulary: 8 bytes, and of the nucleus sums over all ranks.
  PhaseCost sampling() const {
    const auto batch = static_cast<double>(spec_.batch);
    const double logits = batch * shape_.vocab;
    const double flops = spec_.temperature > 0 ? 5 : 1;
    const bool nucleus = spec_.temperature > 0 && spec_.top_p < 1;
    const double passes = nucleus ? 5 : 1;
    double seconds = all_gather_s(ceilings_.links, span_, 8 * batch);
    if (nucleus) {
      constexpr double histogram_bytes = 2048 * 8;
      seconds += all_reduce_s(ceilings_.links, span_, sizeof(float) * batch) +
                 3 * all_reduce_s(ceilings_.links, span_, histogram_bytes * batch);
    }
    return products(flops * passes * logits, passes * logits * sizeof(float)) + collective(seconds);
  }

  // Of the embedding, f32, and of what each layer's two sublayers add, where they read it from their `peers`
  // or else by a collective.
  PhaseCost sums(const TokenCounts& counts, bool peers) const {
    if (counts.passes == 0) return {};
    const double elements = counts.rows / counts.passes * shape_.hidden;
    const double embedding_s = all_reduce_s(ceilings_.links, span_, elements * sizeof(float));
    const double bytes = elements * sum_element();
    const double sublayer_s =
        peers ? read_peers_s(ceilings_.links.peer, peer_sums()) : all_reduce_s(ceilings_.links, span_, bytes);
    return collective(counts.passes * (embedding_s + 2 * shape_.n_layers * sublayer_s));
  }

  // As engine/peer_sums decides, of GPUs on one node that it can read between.
  bool peers_read() const {
    return ceilings_.links.peer.bytes_per_s > 0 && span_.nodes == 1 && peer_bytes() > 0;
  }

  // --- attention ---

  // Queries in, outputs out, and the cache between; noattention copies the one to the other.
  PhaseCost operation() const {
    const Efficiency& e = ceilings_.efficiency;
    const double query_bytes =
        static_cast<double>(spec_.batch) * shape_.n_heads * shape_.head_dim * shape_.element;
    if (spec_.mode == Mode::noattention) return part(0, 2 * query_bytes, e.operation, ceilings_);
    const TokenCounts counts = count_step(spec_, reads(), static_cast<double>(spec_.suffix));
    const double flops = 4 * counts.seen * shape_.n_heads * shape_.head_dim;
    return part(flops, counts.read * shape_.kv_bytes() + 2 * query_bytes, e.operation, ceilings_) +
           added_time(e.operation_s);
  }

  // --- memory ---

  MemoryCost memory() const {
    const bool model = has_model(spec_.workload);
    const bool cached = !model || spec_.mode != Mode::noattention;
    MemoryCost memory;
    if (model) memory.weights = weight_bytes();
    if (cached) memory.kv_cache = static_cast<double>(cache_tokens(spec_)) * shape_.kv_bytes();
    memory.activations = model ? activation_bytes() : operation_bytes();
    memory.activations += model ? step_bytes() : arrays(0, step_);
    memory.peers = model ? peer_bytes() : 0;
    memory.workspace = ceilings_.kernels_bytes;
    if (spec_.mode != Mode::noattention) memory.workspace += workspace_bytes() + plan_bytes();
    memory.buffers = buffers();
    return memory;
  }

  // The embedding is looked up and the head multiplied with: two forms, also where they are tied.
  double weight_bytes() const {
    const double table = shape_.vocab * shape_.hidden;
    const double norms = (2 * shape_.n_layers + 1) * shape_.hidden;
    const double packed =
        ceilings_.packed_element_bytes > 0 ? ceilings_.packed_element_bytes : shape_.element;
    return packed * (shape_.n_layers * shape_.projection_weights() + table) +
           shape_.element * (norms + table);
  }

  double activation_bytes() const {
    const auto rows = static_cast<double>(largest_pass(spec_));
    const auto batch = static_cast<double>(spec_.batch);
    const auto first = static_cast<double>(first_logits_rows(spec_));
    const double logits_rows = std::max(first, batch);
    const double f32 = sizeof(float);
    // The residual stream, and of several ranks what a sublayer adds to it.
    const double streams = shape_.hidden * (f32 + sum_element());
    const double heads = (2 * shape_.n_heads + shape_.n_heads + 2 * shape_.n_kv_heads) * shape_.head_dim;
    double bytes = rows * (streams + shape_.element * (heads + 3 * shape_.intermediate));
    bytes += std::max(rows, logits_rows) * shape_.hidden * shape_.element;
    bytes += logits_rows * (streams + shape_.vocab * f32);
    // One row a sequence, from shared ones, and which.
    if (first != batch) bytes += batch * (shape_.vocab * f32 + sizeof(std::int32_t));
    const auto positions = static_cast<double>(spec_.prefix + spec_.suffix + spec_.new_tokens);
    return bytes + positions * shape_.head_dim * f32;  // rotary tables: cosine and sine
  }

  // Of what is added up over ranks; 0 where there is one.
  double sum_element() const {
    if (spec_.tensor_parallel == 1) return 0;
    return spec_.device == "cuda" ? shape_.element : sizeof(float);
  }

  // Of a decode step.
  PeerReading peer_sums() const {
    if (spec_.device != "cuda" || spec_.new_tokens == 1) return {};
    return peer_reading(spec_.tensor_parallel, spec_.batch, spec_.architecture.hidden, size_of(spec_.dtype));
  }

  // The places of these sums, and what meetings are counted with (engine/peer_sums).
  double peer_bytes() const {
    constexpr double meetings = 512 * (8 + 1) * 4;
    const PeerReading reading = peer_sums();
    if (!reading.reads) return 0;
    return static_cast<double>(reading.places) * static_cast<double>(reading.part_bytes) + meetings;
  }

  double operation_bytes() const {
    const double queries =
        static_cast<double>(spec_.batch) * shape_.n_heads * shape_.head_dim * shape_.element;
    return 2 * queries + (spec_.l2 == L2State::cold ? static_cast<double>(l2_flush_bytes(ceilings_)) : 0);
  }

  // What the engine keeps of rows, sequences and steps besides their values: a pass's and a decode step's
  // arrays, the ids drawn, what sampling needs.
  double step_bytes() const {
    const auto batch = static_cast<double>(spec_.batch);
    double bytes = 0, of_prefill = 0;  // of the largest pass
    for (const PassShape& pass : passes_)
      of_prefill = std::max(of_prefill, arrays(static_cast<double>(pass.rows), pass));
    bytes += of_prefill + arrays(batch, step_);
    bytes += batch * sizeof(std::int32_t) * (1 + static_cast<double>(spec_.new_tokens));
    bytes +=
        batch * (4 + 8 + 8 * static_cast<double>(spec_.tensor_parallel));  // sequences, best ones, all ranks'
    constexpr double nucleus = 4 + 4 + 8 + 2048 * 8;                       // maximum, key, rest, histogram
    if (spec_.temperature > 0 && spec_.top_p < 1) bytes += batch * nucleus;
    return bytes;
  }

  // Of rows, streams and segments, as PassBuffers holds them. One pass has parts of streams, too.
  static double arrays(double rows, const PassShape& pass) {
    const double most_streams =
        std::ceil(static_cast<double>(pass.rows) / static_cast<double>(pass.length)) + 1;
    const double streams = std::min(static_cast<double>(pass.streams), most_streams);
    double segments = 0;
    for (const TreeLevel& level : pass.seen) segments += static_cast<double>(level.nodes);
    return 16 * rows + 20 * streams + 8 + 28 * segments;
  }

  // Partial results, f32: of head_dim values, and a maximum and a sum. On a GPU there is room for one of each
  // row and range also where none is written; on a CPU rows of one range have none.
  double workspace_bytes() const {
    double results = results_of(step_);
    for (const PassShape& pass : passes_) results = std::max(results, results_of(pass));
    return results * (shape_.head_dim + 2) * sizeof(float);
  }

  double results_of(const PassShape& pass) const {
    const double of_range =
        static_cast<double>(pass.rows) * shape_.n_heads;  // a row's, of each of its ranges
    const auto seen = static_cast<double>(pass.seen.size());
    if (ceilings_.shortest_part == 0) return seen > 0 ? of_range * (seen + 1) : 0;
    double added = of_range * added_parts(pass.own);
    for (const TreeLevel& level : pass.seen) added += of_range * added_parts(level.length);
    return of_range * (seen + (pass.own > 0 ? 1 : 0)) + std::min(added, ceilings_.spare_results);
  }

  // More than one, of so many tokens.
  double added_parts(std::int64_t tokens) const {
    return tokens > 0 ? std::ceil(static_cast<double>(tokens) / ceilings_.shortest_part) - 1 : 0;
  }

  // Of the plans of all passes, where they are on the device (kernels/cuda/attention_plan.cpp): the items,
  // each some rows and a range, and for each row where its partial results stand.
  double plan_bytes() const {
    if (ceilings_.shortest_part == 0) return 0;
    double bytes = plan_bytes(step_);
    for (const PassShape& pass : passes_) bytes += plan_bytes(pass);
    return bytes;
  }

  double plan_bytes(const PassShape& pass) const {
    constexpr double item_bytes = 40, tile_rows = 64, index_bytes = 8;  // rows: at least
    const auto rows = static_cast<double>(pass.all_rows());
    const double rows_of_item = std::max(1.0, std::floor(tile_rows * shape_.n_kv_heads / shape_.n_heads));
    const double own_items =
        static_cast<double>(pass.streams) * std::ceil(static_cast<double>(pass.length) / rows_of_item);
    double items = pass.own > 0 ? own_items : 0;
    for (const TreeLevel& level : pass.seen) {
      const double below = rows / static_cast<double>(level.nodes);
      items += shares_ ? static_cast<double>(level.nodes) * std::ceil(below / rows_of_item) : own_items;
    }
    const double ranges = static_cast<double>(pass.seen.size()) + 1;
    return items * item_bytes + rows * (ranges + 1) * index_bytes;
  }

  // As many as the engine and the workload allocate: each ends at a page.
  double buffers() const {
    double passes = 0;
    for (const PassShape& pass : passes_) {
      passes += std::ceil(static_cast<double>(pass.all_rows()) / static_cast<double>(pass.rows));
    }
    constexpr double of_batch = 50, of_layer = 6;
    return of_batch + passes + (has_model(spec_.workload) ? of_layer * shape_.n_layers : 0);
  }

  const RunSpec& spec_;
  const Ceilings& ceilings_;
  RankShape shape_;
  GroupSpan span_;
  bool shares_;
  std::vector<PassShape> passes_;  // of the prefill
  PassShape step_;
};

}  // namespace

RunCost cost_of(const RunSpec& spec, const Ceilings& ceilings) {
  return CostModel(spec, ceilings).cost();
}

std::int64_t l2_flush_bytes(const Ceilings& ceilings) {
  constexpr std::int64_t least = std::int64_t{256} << 20;
  return std::max(least, 2 * static_cast<std::int64_t>(ceilings.cache_bytes));
}

bool sharing_pays(std::int64_t sequences, std::int64_t length, std::int64_t n_heads, std::int64_t n_kv_heads,
                  std::int64_t head_dim, DType dtype) {
  const auto readers = static_cast<double>(sequences);
  const auto dim = static_cast<double>(head_dim);
  const double segment_bytes = static_cast<double>(length) * 2 * static_cast<double>(n_kv_heads) * dim *
                               static_cast<double>(size_of(dtype));
  // Written by the part, read by the merge: head_dim values and a log-sum-exp a query, f32.
  const double partial_bytes = 2 * readers * static_cast<double>(n_heads) * (dim + 1) * sizeof(float);
  return readers * segment_bytes > segment_bytes + partial_bytes;
}

}  // namespace hydrajob
