// One pass of the transformer over rows of tokens: embedding, layers, final norm, logits of this rank's
// vocabulary.
#pragma once

#include <cstdint>
#include <memory>
#include <optional>

#include "comm/communicator.hpp"
#include "device/device.hpp"
#include "engine/engine.hpp"
#include "engine/layout.hpp"
#include "engine/model.hpp"
#include "engine/pass_buffers.hpp"
#include "engine/peer_sums.hpp"
#include "engine/rope.hpp"
#include "kernels/kernels.hpp"

namespace hydrajob {

// The KV cache of one rank: (layers, 2, n_kv_heads, tokens, head_dim) in the model's dtype. No layers:
// noattention.
class KvCache {
 public:
  KvCache(const Model& model, std::int64_t tokens, bool present, Device& device);
  KvView layer(std::int64_t index) const;
  // Copies tokens of every layer and head within the cache.
  void copy(const CacheCopy& copy, Device& device) const;
  std::size_t bytes() const { return buffer_ ? buffer_->bytes() : 0; }
  std::int64_t tokens() const { return tokens_; }  // that there is room for

 private:
  std::int64_t n_layers_;
  std::int64_t n_kv_heads_;
  std::int64_t tokens_;
  std::int64_t head_dim_;
  std::size_t element_;
  std::unique_ptr<Buffer> buffer_;
};

// The largest pass that a forward will see.
struct ForwardLimits {
  std::int64_t rows = 0;
  std::int64_t logits_rows = 0;
  std::int64_t positions = 0;
  std::size_t attention_workspace = 0;
};

// The attention of a pass with the pass's own host arrays, no data: for planning it.
AttentionArgs attention_shape(const Model& model, const Pass& pass, bool share);

// A pass that stands on the device.
struct DevicePass {
  const PassBuffers* rows = nullptr;
  AttentionArgs attention;              // its shape; arrays, data and workspace are placed by the forward
  const AttentionPlan* plan = nullptr;  // of its attention; null without attention
  bool step = false;                    // of the decode: its rows are those of connect() at most
};

class Forward {
 public:
  Forward(const Model& model, const EngineContext& context, const ForwardLimits& limits);

  // Has the ranks add up decode steps of `rows` rows in each other's memory, where they can; returns the
  // bytes that this takes of each. Collective.
  std::size_t connect(std::int64_t rows);
  // Lets the backend find the fastest products of so many rows, of the layers and of the head, before
  // anything is computed.
  void tune(std::int64_t rows);
  void tune_logits(std::int64_t rows);
  // Computes the rows of a pass; k and v go to the cache. The residual stream stays for the functions below.
  void run(const DevicePass& pass, const KvCache& cache);
  // Keeps the pass's wanted rows for logits().
  void keep_wanted(const Pass& pass);
  // Logits of the rows kept so far (`rows` of them): (rows, local vocabulary) f32, valid until the next call.
  float* logits_of_kept(std::int64_t rows);
  // Logits of all rows of the last pass, which was a step of the decode.
  float* logits_of_step(std::int64_t rows);
  // Where the last ones stand.
  float* logits() const { return logits_->as<float>(); }

  std::size_t bytes() const { return bytes_; }

 private:
  std::unique_ptr<Buffer> allocate(std::int64_t elements, std::size_t element_bytes);
  AttentionArgs placed(const DevicePass& pass) const;
  void layer(const Layer& layer, const KvView& kv, const DevicePass& pass);
  void tune_one(Buffer& x, std::vector<const PackedWeight*> weights, Buffer& y, DType y_dtype,
                std::int64_t rows);
  PartialSums add_sublayer(Buffer& x, const PackedWeight& weight, const DevicePass& pass);
  PartialSums summed(Buffer* delta) const;
  float* compute_logits(Buffer& residual, const PartialSums& added, std::int64_t rows);

  const Model& model_;
  EngineContext context_;
  DType sum_dtype_;                // of what is added up over ranks
  std::optional<PeerSums> peers_;  // of decode steps; none: the group adds up
  PartialSums added_;              // to the residual stream by its next normalisation
  std::size_t bytes_ = 0;

  std::unique_ptr<Buffer> cosine_, sine_;  // (positions, head_dim / 2) f32
  std::unique_ptr<Buffer> residual_;       // (rows, hidden) f32: the stream
  std::unique_ptr<Buffer>
      delta_;  // (rows, hidden) of sum_dtype_: what the last sublayer adds; null: one rank
  std::unique_ptr<Buffer> normed_;                      // (rows, hidden)
  std::unique_ptr<Buffer> qkv_, q_, attended_;          // (rows, …)
  std::unique_ptr<Buffer> gate_up_, gated_;             // (rows, 2 intermediate), (rows, intermediate)
  std::unique_ptr<Buffer> kept_residual_, kept_delta_;  // (logits rows, hidden) f32, sum_dtype_; as above
  std::unique_ptr<Buffer> logits_;                      // (logits rows, local vocabulary) f32
  std::unique_ptr<Buffer> workspace_;
};

}  // namespace hydrajob
