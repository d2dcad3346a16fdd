#include "engine/sampler.hpp"

#include <algorithm>

namespace hydrajob {
namespace {

constexpr std::int64_t digits = 2048;  // of one pass of the radix select

}  // namespace

Sampler::Sampler(const EngineContext& context, RowRange vocabulary, const std::vector<std::int32_t>& sequence,
                 const SamplingArgs& sampling)
    : context_(context),
      vocabulary_(vocabulary),
      sampling_(sampling),
      rows_(static_cast<std::int64_t>(sequence.size())) {
  sequence_ = allocate(rows_, sizeof(std::int32_t));
  best_ = allocate(2 * rows_, sizeof(float));
  gathered_ = allocate(2 * rows_ * context_.group->size(), sizeof(float));
  context_.device->copy_to_device(sequence_->data(), sequence.data(), sequence.size() * sizeof(std::int32_t));
  const bool wants_nucleus = sampling.temperature > 0 && sampling.top_p < 1;
  if (!wants_nucleus) return;
  maximum_ = allocate(rows_, sizeof(float));
  key_ = allocate(rows_, sizeof(std::uint32_t));
  remaining_ = allocate(rows_, sizeof(std::uint64_t));
  histogram_ = allocate(rows_ * digits, sizeof(std::uint64_t));
}

std::unique_ptr<Buffer> Sampler::allocate(std::int64_t elements, std::size_t element_bytes) {
  const std::size_t bytes = static_cast<std::size_t>(std::max<std::int64_t>(elements, 1)) * element_bytes;
  bytes_ += bytes;
  return context_.device->allocate(bytes);
}

void Sampler::draw(const float* logits, const std::int32_t* step, std::int32_t* ids) {
  Stream& stream = context_.device->stream();
  const std::uint32_t* smallest_key = maximum_ ? nucleus(logits) : nullptr;
  context_.kernels->sample(logits, sampling_, smallest_key, sequence_->as<std::int32_t>(), step,
                           vocabulary_.begin, best_->as<float>(), best_->as<std::int32_t>() + rows_, rows_,
                           vocabulary_.count(), stream);
  const int ranks = context_.group->size();
  if (ranks > 1) context_.group->all_gather(best_->data(), gathered_->data(), best_->bytes(), stream);
  context_.kernels->choose(ranks > 1 ? gathered_->data() : best_->data(), ranks, ids, rows_, stream);
}

// The smallest key of each row's nucleus, found by a radix select whose exact sums are shared by all ranks.
const std::uint32_t* Sampler::nucleus(const float* logits) {
  Stream& stream = context_.device->stream();
  auto* maximum = maximum_->as<float>();
  auto* key = key_->as<std::uint32_t>();
  auto* histogram = histogram_->as<std::uint64_t>();
  context_.kernels->row_max(logits, maximum, rows_, vocabulary_.count(), stream);
  if (context_.group->size() > 1) context_.group->all_reduce_max(maximum, rows_, stream);
  for (int pass = 0; pass < 3; ++pass) {
    context_.kernels->nucleus_histogram(logits, maximum, key, pass, sampling_.temperature, histogram, rows_,
                                        vocabulary_.count(), stream);
    if (context_.group->size() > 1) context_.group->all_reduce_sum(histogram, rows_ * digits, stream);
    context_.kernels->nucleus_select(histogram, key, remaining_->as<std::uint64_t>(), pass, sampling_.top_p,
                                     rows_, stream);
  }
  return key;
}

}  // namespace hydrajob
