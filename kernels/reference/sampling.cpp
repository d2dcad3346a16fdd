// Drawing tokens: the nucleus by radix select, and the Gumbel maximum, which draws from the softmax without
// normalising it (Gumbel 1954; Maddison et al., arXiv 1411.0030).
#include <algorithm>
#include <cmath>
#include <limits>

#include "base/philox.hpp"
#include "kernels/nucleus.hpp"
#include "kernels/reference/reference_kernels.hpp"

namespace hydrajob::reference {
namespace {

double gumbel(std::uint64_t seed, std::uint32_t sequence, std::uint32_t step, std::uint32_t id) {
  const PhiloxCounter words = philox4x32({id >> 2, step, sequence, 0}, philox_key(seed));
  const double u = uniform_open(words[id & 3u]);
  return -std::log(-std::log(u));
}

}  // namespace

void ReferenceKernels::row_max(const float* logits, float* maximum, std::int64_t rows, std::int64_t n_ids,
                               Stream&) {
  for (std::int64_t r = 0; r < rows; ++r) {
    maximum[r] = -std::numeric_limits<float>::infinity();
    for (std::int64_t i = 0; i < n_ids; ++i) maximum[r] = std::max(maximum[r], logits[r * n_ids + i]);
  }
}

void ReferenceKernels::nucleus_histogram(const float* logits, const float* maximum,
                                         const std::uint32_t* prefix, int pass, float temperature,
                                         std::uint64_t* histogram, std::int64_t rows, std::int64_t n_ids,
                                         Stream&) {
  std::fill(histogram, histogram + rows * nucleus_digits, 0);
  for (std::int64_t r = 0; r < rows; ++r) {
    for (std::int64_t i = 0; i < n_ids; ++i) {
      const float logit = logits[r * n_ids + i];
      const std::uint32_t key = nucleus_key(logit);
      if (((key ^ prefix[r]) & nucleus_settled(pass)) != 0) continue;
      const double mass = std::exp((static_cast<double>(logit) - maximum[r]) / temperature);
      histogram[r * nucleus_digits + nucleus_digit(key, pass)] += nucleus_units(mass);
    }
  }
}

void ReferenceKernels::nucleus_select(const std::uint64_t* histogram, std::uint32_t* prefix,
                                      std::uint64_t* remaining, int pass, float top_p, std::int64_t rows,
                                      Stream&) {
  for (std::int64_t r = 0; r < rows; ++r) {
    const std::uint64_t* mass = histogram + r * nucleus_digits;
    if (pass == 0) {
      std::uint64_t total = 0;
      for (std::int64_t digit = 0; digit < nucleus_digits; ++digit) total += mass[digit];
      remaining[r] = nucleus_wanted(total, top_p);
    }
    std::int64_t digit = nucleus_digits - 1;
    while (digit > 0 && mass[digit] < remaining[r]) remaining[r] -= mass[digit--];
    const std::uint32_t settled = pass == 0 ? 0 : prefix[r];
    prefix[r] = settled | static_cast<std::uint32_t>(digit) << nucleus_shift[static_cast<std::size_t>(pass)];
  }
}

void ReferenceKernels::sample(const float* logits, const SamplingArgs& sampling,
                              const std::uint32_t* smallest_key, const std::int32_t* sequence,
                              const std::int32_t* step, std::int64_t first_id, float* best_value,
                              std::int32_t* best_id, std::int64_t rows, std::int64_t n_ids, Stream&) {
  for (std::int64_t r = 0; r < rows; ++r) {
    double best = -std::numeric_limits<double>::infinity();
    std::int64_t id = first_id;
    for (std::int64_t i = 0; i < n_ids; ++i) {
      const float logit = logits[r * n_ids + i];
      if (smallest_key != nullptr && nucleus_key(logit) < smallest_key[r]) continue;
      double value = logit;
      if (sampling.temperature > 0) {
        value = value / sampling.temperature + gumbel(sampling.seed, static_cast<std::uint32_t>(sequence[r]),
                                                      static_cast<std::uint32_t>(step[r]),
                                                      static_cast<std::uint32_t>(first_id + i));
      }
      if (value > best) {
        best = value;
        id = first_id + i;
      }
    }
    best_value[r] = static_cast<float>(best);
    best_id[r] = static_cast<std::int32_t>(id);
  }
}

void ReferenceKernels::choose(const void* best, std::int64_t n_shards, std::int32_t* ids, std::int64_t rows,
                              Stream&) {
  const auto* values = static_cast<const float*>(best);
  const auto* candidates = static_cast<const std::int32_t*>(best);
  for (std::int64_t r = 0; r < rows; ++r) {
    std::int64_t chosen = 0;
    for (std::int64_t shard = 1; shard < n_shards; ++shard) {
      if (values[2 * shard * rows + r] > values[2 * chosen * rows + r]) chosen = shard;
    }
    ids[r] = candidates[(2 * chosen + 1) * rows + r];
  }
}

void ReferenceKernels::end_step(const std::int32_t* ids, std::int32_t* history, std::int32_t* step,
                                std::int32_t* positions, std::int64_t* slots, std::int32_t* own_length,
                                std::int64_t rows, Stream&) {
  for (std::int64_t r = 0; r < rows; ++r) {
    history[step[r]++ * rows + r] = ids[r];
    if (positions == nullptr) continue;
    ++positions[r];
    ++slots[r];
    ++own_length[r];
  }
}

}  // namespace hydrajob::reference
