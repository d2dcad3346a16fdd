// Draws the next token of every row from logits that are split over the group: Gumbel-max over a
// counter-based generator, so that every rank proposes the best of its own ids and all agree, and the tokens
// are the same at every degree of tensor parallelism.
#pragma once

#include <cstdint>
#include <memory>
#include <vector>

#include "engine/engine.hpp"
#include "weights/weight_source.hpp"

namespace hydrajob {

class Sampler {
 public:
  // `vocabulary`: the ids of this rank. `sequence`: (rows) whose random numbers each row uses.
  Sampler(const EngineContext& context, RowRange vocabulary, const std::vector<std::int32_t>& sequence,
          const SamplingArgs& sampling);

  // logits: (rows, vocabulary.count()) f32; step: (rows) of the generation, from 0; ids: (rows), the same on
  // every rank of the group. All on the device, nothing waits. Collective.
  void draw(const float* logits, const std::int32_t* step, std::int32_t* ids);

  std::size_t bytes() const { return bytes_; }

 private:
  std::unique_ptr<Buffer> allocate(std::int64_t elements, std::size_t element_bytes);
  const std::uint32_t* nucleus(const float* logits);

  EngineContext context_;
  RowRange vocabulary_;
  SamplingArgs sampling_;
  std::int64_t rows_;
  std::size_t bytes_ = 0;
  std::unique_ptr<Buffer> sequence_;  // (rows)
  std::unique_ptr<Buffer> best_;      // (rows) values, then (rows) ids: one message
  std::unique_ptr<Buffer> gathered_;  // (ranks) of best_
  std::unique_ptr<Buffer> maximum_, key_, remaining_, histogram_;  // of the nucleus; absent without top-p
};

}  // namespace hydrajob
