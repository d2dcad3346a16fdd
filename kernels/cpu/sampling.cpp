// Maximum, nucleus and draw: rows, and pieces of the vocabulary where there are few rows, over threads.
#include <algorithm>

#include "base/philox.hpp"
#include "kernels/cpu/cpu_kernels.hpp"
#include "kernels/cpu/parallel.hpp"
#include "kernels/nucleus.hpp"

namespace hydrajob::cpu {

void CpuKernels::row_max(const float* logits, float* maximum, std::int64_t rows, std::int64_t n_ids,
                         Stream&) {
  parallel_for(threads_, rows,
               [&](std::int64_t r) { maximum[r] = rows_.maximum(logits + r * n_ids, n_ids); });
}

void CpuKernels::nucleus_histogram(const float* logits, const float* maximum, const std::uint32_t* prefix,
                                   int pass, float temperature, std::uint64_t* histogram, std::int64_t rows,
                                   std::int64_t n_ids, Stream&) {
  parallel_for(threads_, rows, [&](std::int64_t r) {
    std::uint64_t* row = histogram + r * nucleus_digits;
    std::fill(row, row + nucleus_digits, 0);
    rows_.nucleus_histogram(logits + r * n_ids, maximum[r], prefix[r], pass, temperature, row, n_ids);
  });
}

void CpuKernels::nucleus_select(const std::uint64_t* histogram, std::uint32_t* prefix,
                                std::uint64_t* remaining, int pass, float top_p, std::int64_t rows, Stream&) {
  parallel_for(threads_, rows, [&](std::int64_t r) {
    const std::uint64_t* mass = histogram + r * nucleus_digits;
    std::uint64_t wanted = remaining[r];
    if (pass == 0) {
      std::uint64_t total = 0;
      for (std::int64_t d = 0; d < nucleus_digits; ++d) total += mass[d];
      wanted = nucleus_wanted(total, top_p);
    }
    std::int64_t digit = nucleus_digits - 1;
    for (; digit > 0 && mass[digit] < wanted; --digit) wanted -= mass[digit];
    remaining[r] = wanted;
    const std::uint32_t settled = pass == 0 ? 0 : prefix[r];
    prefix[r] = settled | static_cast<std::uint32_t>(digit) << nucleus_shift[static_cast<std::size_t>(pass)];
  });
}

void CpuKernels::sample(const float* logits, const SamplingArgs& sampling, const std::uint32_t* smallest_key,
                        const std::int32_t* sequence, const std::int32_t* step, std::int64_t first_id,
                        float* best_value, std::int32_t* best_id, std::int64_t rows, std::int64_t n_ids,
                        Stream&) {
  const std::int64_t pieces = rows >= threads_ || n_ids < 4096 ? 1 : threads_;
  candidates_.resize(static_cast<std::size_t>(rows * pieces));
  parallel_for(threads_, rows * pieces, [&](std::int64_t task) {
    const std::int64_t r = task / pieces;
    const Piece piece = piece_of(n_ids, task % pieces, pieces, 64);
    const float* shard = logits + r * n_ids + piece.begin;
    const std::uint32_t smallest = smallest_key == nullptr ? 0 : smallest_key[r];
    const std::int64_t first = first_id + piece.begin, n = piece.end - piece.begin;
    const RowRandom random{sampling.temperature, philox_key(sampling.seed),
                           static_cast<std::uint32_t>(sequence[r]), static_cast<std::uint32_t>(step[r])};
    candidates_[static_cast<std::size_t>(task)] = sampling.temperature > 0
                                                      ? rows_.gumbel(shard, random, smallest, first, n)
                                                      : rows_.greedy(shard, smallest, first, n);
  });
  for (std::int64_t r = 0; r < rows; ++r) {
    const auto begin = candidates_.begin() + r * pieces;
    const auto best = std::max_element(begin, begin + pieces, [](const Candidate& a, const Candidate& b) {
      return a.value < b.value;  // of equal ones the first: the smaller id
    });
    best_value[r] = best->value;
    best_id[r] = best->id;
  }
}

void CpuKernels::choose(const void* best, std::int64_t n_shards, std::int32_t* ids, std::int64_t rows,
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

void CpuKernels::end_step(const std::int32_t* ids, std::int32_t* history, std::int32_t* step,
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

}  // namespace hydrajob::cpu
