// Every operation of the engine, declared once. A backend implements all of them (kernels/cpu,
// kernels/cuda); kernels/reference is the plain version that the others are tested against. Pointers, sizes
// and a stream in, nothing else; all pointers are device memory unless said otherwise. `dtype` is the element
// type of the `void*` arguments. Preconditions are checked where the engine builds its arguments, not here.
#pragma once

#include <cstddef>
#include <cstdint>
#include <map>
#include <memory>
#include <span>
#include <string>

#include "base/dtype.hpp"
#include "base/seeded.hpp"
#include "device/device.hpp"
#include "kernels/attention.hpp"
#include "kernels/partial_sums.hpp"

namespace hydrajob {

enum class WeightLayout {
  out_in,  // (out, in): column-parallel, split by rows over ranks
  in_out,  // (in, out): row-parallel, split by rows over ranks
};

// A weight matrix in whatever form the backend multiplies fastest.
class PackedWeight {
 public:
  virtual ~PackedWeight() = default;
  virtual std::int64_t in() const = 0;
  virtual std::int64_t out() const = 0;
  virtual std::size_t bytes() const = 0;
};

struct UnfilledWeight {
  std::unique_ptr<PackedWeight> weight;
  void* data = nullptr;  // device memory, weight->bytes()
};

// How the next token is drawn. temperature 0 is greedy; top_p 1 keeps the whole vocabulary.
struct SamplingArgs {
  float temperature = 0;
  float top_p = 1;
  std::uint64_t seed = 0;
};

// What can be settled of a pass's attention before its data is there: how it is divided, and what it needs.
class AttentionPlan {
 public:
  virtual ~AttentionPlan() = default;
  virtual std::size_t workspace_bytes() const = 0;
  virtual std::size_t bytes() const = 0;  // of device memory that the plan itself holds
};

class Kernels {
 public:
  virtual ~Kernels() = default;

  // Versions of the libraries that results depend on, by name.
  virtual std::map<std::string, std::string> libraries() const { return {}; }

  // --- embedding and normalisation ---

  // residual[r] = table[ids[r] - first_id] for ids of this rank's shard, 0 for others (the ranks' sum is the
  // embedding). ids: (rows); table: (n_ids, hidden) dtype; residual: (rows, hidden) f32.
  virtual void embed(const std::int32_t* ids, const void* table, std::int64_t first_id, std::int64_t n_ids,
                     float* residual, std::int64_t rows, std::int64_t hidden, DType dtype,
                     Stream& stream) = 0;

  // residual += the sum of `added`, in f32, then out = residual / rms(residual) * weight.
  // residual: (rows, hidden) f32; weight: (hidden) dtype; out: (rows, hidden) dtype.
  virtual void add_rmsnorm(float* residual, const PartialSums& added, const void* weight, void* out,
                           std::int64_t rows, std::int64_t hidden, float eps, DType dtype,
                           Stream& stream) = 0;

  // --- matrix products ---

  // Takes (out, in) or (in, out) weights of host memory into the backend's form. `expected_rows`:
  // the batch that products with it should be fastest at.
  virtual std::unique_ptr<PackedWeight> pack(const void* weight, WeightLayout layout, std::int64_t out,
                                             std::int64_t in, std::int64_t expected_rows, DType dtype) = 0;
  // Such a weight without values, where the backend keeps them as pack() gets them: they are copied to `data`
  // in the device's stream. Null: it keeps them in another form.
  virtual UnfilledWeight allocate_weight(WeightLayout /*layout*/, std::int64_t /*out*/, std::int64_t /*in*/,
                                         DType /*dtype*/) {
    return {};
  }
  // y = x W^T; x: (rows, in) dtype; y: (rows, out) of y_dtype, f32 accumulation. y_dtype:
  // f32, or dtype.
  virtual void linear(const void* x, const PackedWeight& weight, void* y, DType y_dtype, std::int64_t rows,
                      DType dtype, Stream& stream) = 0;
  // y += x W^T; y: (rows, out) f32. A sublayer's output goes straight into the residual stream where no other
  // rank has a part of it.
  virtual void add_linear(const void* x, const PackedWeight& weight, float* y, std::int64_t rows, DType dtype,
                          Stream& stream) = 0;

  // Finds the fastest way of products of one shape, where the backend has several; it is kept. `weights`: of
  // that shape, as many as are multiplied with one after another, so that none is in a cache. What y holds
  // afterwards is undefined. Products that add to y are taken to be fastest in the same way. Waits.
  virtual void tune_linear(const void* /*x*/, std::span<const PackedWeight* const> /*weights*/, void* /*y*/,
                           DType /*y_dtype*/, std::int64_t /*rows*/, DType /*dtype*/, Stream& /*stream*/) {}

  // --- seeded weights ---

  // For backends that are faster at computing seeded values in place than at taking them from the host. The
  // others say so, and then nothing has been done.

  // target: (part.count) dtype. False: not by this backend.
  virtual bool fill_seeded(const SeededPart& /*part*/, void* /*target*/, DType /*dtype*/,
                           Stream& /*stream*/) {
    return false;
  }
  // pack() of the parts, one behind the other. Null: not by this backend. It need not wait: what
  // is launched into the device's stream finds the weight filled.
  virtual std::unique_ptr<PackedWeight> pack_seeded(std::span<const SeededPart> /*parts*/,
                                                    WeightLayout /*layout*/, std::int64_t /*out*/,
                                                    std::int64_t /*in*/, std::int64_t /*expected_rows*/,
                                                    DType /*dtype*/) {
    return nullptr;
  }

  // --- attention ---

  // Rotates q and k (half-split pairs: i with i + head_dim/2) to their positions; writes q to q_out and k, v
  // to the cache. qkv: (rows, (n_heads + 2 n_kv_heads) head_dim) dtype; positions: (rows); slots: (rows)
  // token index in the cache of each row, negative: not written; cosine, sine: (max_position, head_dim / 2)
  // f32; q_out: (rows, n_heads, head_dim) dtype. kv.k null: nothing is written (noattention).
  virtual void rope_and_cache(const void* qkv, const std::int32_t* positions, const std::int64_t* slots,
                              const float* cosine, const float* sine, void* q_out, const KvView& kv,
                              std::int64_t rows, std::int64_t n_heads, std::int64_t n_kv_heads,
                              std::int64_t head_dim, DType dtype, Stream& stream) = 0;

  // `args`: its arrays are host memory here, no data is needed. Own lengths may grow by up to `growth` tokens
  // without a new plan: the steps of a decode.
  virtual std::unique_ptr<AttentionPlan> plan_attention(const AttentionArgs& args, std::int32_t growth) = 0;
  // What a plan's workspace counts on.
  virtual AttentionCuts attention_cuts() const { return {}; }
  // `args`: as planned, its arrays on the device.
  virtual void attention(const AttentionPlan& plan, const AttentionArgs& args, Stream& stream) = 0;

  // --- MLP ---

  // out = silu(gate) * up. gate_up: (rows, 2 * width) dtype, gate first; out: (rows, width) dtype.
  virtual void swiglu(const void* gate_up, void* out, std::int64_t rows, std::int64_t width, DType dtype,
                      Stream& stream) = 0;

  // --- sampling ---

  // Logits of one rank's shard of the vocabulary: (rows, n_ids) f32, ids [first_id, first_id + n_ids).

  // maximum[r] = max of row r.
  virtual void row_max(const float* logits, float* maximum, std::int64_t rows, std::int64_t n_ids,
                       Stream& stream) = 0;

  // One pass of a radix select for the nucleus (top-p). Tokens are ordered by a 32-bit key, monotonic in the
  // logit (the float's bits, flipped); their masses exp((logit - maximum) / temperature) are rounded to
  // 2^-40, so that sums are exact in any order and every degree finds the same nucleus. histogram[r][digit] =
  // mass of row r's tokens whose key agrees with prefix[r] above the digit. pass 0, 1, 2:
  // bits 31..21, 20..10, 9..0. histogram: (rows, 2048).
  virtual void nucleus_histogram(const float* logits, const float* maximum, const std::uint32_t* prefix,
                                 int pass, float temperature, std::uint64_t* histogram, std::int64_t rows,
                                 std::int64_t n_ids, Stream& stream) = 0;
  // Appends the digit in which the mass, counted from the largest key, reaches top_p of the total. remaining:
  // (rows), mass still wanted. Pass 0 sets both, whatever stood there. After pass 2 prefix[r] is the smallest
  // key of the nucleus.
  virtual void nucleus_select(const std::uint64_t* histogram, std::uint32_t* prefix, std::uint64_t* remaining,
                              int pass, float top_p, std::int64_t rows, Stream& stream) = 0;

  // The best token of this shard: greedy, or the Gumbel maximum of logit / temperature - log(-log u), where u
  // is uniform_open(word id & 3 of Philox4x32-10(counter {id >> 2, step[r], sequence[r], 0}, key seed)).
  // smallest_key: (rows) keys below it are left out, or null. Ties go to the smaller id. best_value, best_id:
  // (rows).
  virtual void sample(const float* logits, const SamplingArgs& sampling, const std::uint32_t* smallest_key,
                      const std::int32_t* sequence, const std::int32_t* step, std::int64_t first_id,
                      float* best_value, std::int32_t* best_id, std::int64_t rows, std::int64_t n_ids,
                      Stream& stream) = 0;
  // ids[r] = the best of all shards: the largest value, of equal ones the first shard's, whose ids are
  // smaller. best: of each shard (rows) values f32, then (rows) ids. ids: (rows).
  virtual void choose(const void* best, std::int64_t n_shards, std::int32_t* ids, std::int64_t rows,
                      Stream& stream) = 0;

  // --- the step of a decode ---

  // Keeps the drawn ids, then moves every row on by one: history[step[r]][r] = ids[r], and one is added to
  // step, positions, slots and own_length. All (rows); history: (steps, rows). positions null: step alone.
  virtual void end_step(const std::int32_t* ids, std::int32_t* history, std::int32_t* step,
                        std::int32_t* positions, std::int64_t* slots, std::int32_t* own_length,
                        std::int64_t rows, Stream& stream) = 0;
};

// Plain loops, f32 or f64 inside, one thread: for tests and for reading.
std::unique_ptr<Kernels> make_reference_kernels();

std::unique_ptr<Kernels> make_cpu_kernels(int threads);

// The kernels of the device's backend; it outlives them. `threads`: of this rank (CPU).
std::unique_ptr<Kernels> make_kernels(Device& device, int threads);

}  // namespace hydrajob
