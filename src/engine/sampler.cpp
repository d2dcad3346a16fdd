#include "engine/sampler.hpp"

#include <algorithm>

namespace hydrajob {
namespace {

constexpr std::int64_t digits = 2048;  // of one pass of the radix select

struct Best {
  const float* value;
  const std::int32_t* id;
};

}  // namespace

Sampler::Sampler(const EngineContext& context, RowRange vocabulary, const std::vector<std::int32_t>& sequence,
                 const SamplingArgs& sampling)
    : context_(context),
      vocabulary_(vocabulary),
      sampling_(sampling),
      rows_(static_cast<std::int64_t>(sequence.size())) {
  sequence_ = allocate(rows_, sizeof(std::int32_t));
  step_ = allocate(rows_, sizeof(std::int32_t));
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

std::vector<std::int32_t> Sampler::draw(const float* logits, std::int32_t step) {
  const std::vector<std::int32_t> steps(static_cast<std::size_t>(rows_), step);
  context_.device->copy_to_device(step_->data(), steps.data(), steps.size() * sizeof(std::int32_t));
  const std::uint32_t* smallest_key = maximum_ ? nucleus(logits) : nullptr;
  context_.kernels->sample(logits, sampling_, smallest_key, sequence_->as<std::int32_t>(),
                           step_->as<std::int32_t>(), vocabulary_.begin, best_->as<float>(),
                           best_->as<std::int32_t>() + rows_, rows_, vocabulary_.count(),
                           context_.device->stream());
  return best_of_ranks();
}

// The smallest key of each row's nucleus, found by a radix select whose exact sums are shared by all ranks.
const std::uint32_t* Sampler::nucleus(const float* logits) {
  Stream& stream = context_.device->stream();
  auto* maximum = maximum_->as<float>();
  auto* key = key_->as<std::uint32_t>();
  auto* histogram = histogram_->as<std::uint64_t>();
  context_.kernels->row_max(logits, maximum, rows_, vocabulary_.count(), stream);
  if (context_.group->size() > 1) context_.group->all_reduce_max(maximum, rows_, stream);
  const std::vector<std::uint32_t> none(static_cast<std::size_t>(rows_), 0);
  context_.device->copy_to_device(key, none.data(), none.size() * sizeof(std::uint32_t));
  for (int pass = 0; pass < 3; ++pass) {
    context_.kernels->nucleus_histogram(logits, maximum, key, pass, sampling_.temperature, histogram, rows_,
                                        vocabulary_.count(), stream);
    if (context_.group->size() > 1) context_.group->all_reduce_sum(histogram, rows_ * digits, stream);
    context_.kernels->nucleus_select(histogram, key, remaining_->as<std::uint64_t>(), pass, sampling_.top_p,
                                     rows_, stream);
  }
  return key;
}

std::vector<std::int32_t> Sampler::best_of_ranks() {
  const std::size_t part = static_cast<std::size_t>(2 * rows_) * sizeof(float);
  const int ranks = context_.group->size();
  Buffer* source = best_.get();
  if (ranks > 1) {
    context_.group->all_gather(best_->data(), gathered_->data(), part, context_.device->stream());
    source = gathered_.get();
  }
  std::vector<std::byte> host(part * static_cast<std::size_t>(ranks));
  context_.device->copy_to_host(host.data(), source->data(), host.size());
  context_.device->synchronize();

  const auto of_rank = [&](int rank) {
    const auto* values = reinterpret_cast<const float*>(host.data() + part * static_cast<std::size_t>(rank));
    return Best{values, reinterpret_cast<const std::int32_t*>(values + rows_)};
  };
  std::vector<std::int32_t> ids(of_rank(0).id, of_rank(0).id + rows_);
  std::vector<float> values(of_rank(0).value, of_rank(0).value + rows_);
  for (int rank = 1; rank < ranks; ++rank) {  // ids rise with the rank, so a tie keeps the smaller one
    const Best other = of_rank(rank);
    for (std::int64_t row = 0; row < rows_; ++row) {
      if (other.value[row] > values[row]) {
        values[row] = other.value[row];
        ids[row] = other.id[row];
      }
    }
  }
  return ids;
}

}  // namespace hydrajob
