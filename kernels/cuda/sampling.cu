// Drawing tokens: a block a row of logits. The random numbers and the nucleus's arithmetic are those of every
// backend (base/philox.hpp, kernels/nucleus.hpp).
#include <limits>

#include "base/philox.hpp"
#include "device/cuda_stream.hpp"
#include "kernels/cuda/cuda_kernels.hpp"
#include "kernels/cuda/launch.cuh"
#include "kernels/cuda/reduce.cuh"
#include "kernels/nucleus.hpp"

namespace hydrajob::cuda {
namespace {

constexpr unsigned threads = 512;

__global__ void maximum_of_rows(const float* logits, float* maximum, std::int64_t n_ids) {
  begin_kernel();
  const float* row = logits + blockIdx.x * n_ids;
  float best = -INFINITY;
  for (std::int64_t i = threadIdx.x; i < n_ids; i += blockDim.x) best = fmaxf(best, row[i]);
  best = reduce_block(best, -INFINITY, [](float a, float b) { return fmaxf(a, b); });
  if (threadIdx.x == 0) maximum[blockIdx.x] = best;
}

__global__ void histogram_of_rows(const float* logits, const float* maximum, const std::uint32_t* prefix,
                                  int pass, float temperature, std::uint64_t* histogram, std::int64_t n_ids) {
  begin_kernel();
  __shared__ unsigned long long mass[nucleus_digits];
  for (int digit = threadIdx.x; digit < nucleus_digits; digit += blockDim.x) mass[digit] = 0;
  __syncthreads();
  const float* row = logits + blockIdx.x * n_ids;
  const std::uint32_t settled = prefix[blockIdx.x];
  const double largest = maximum[blockIdx.x];
  for (std::int64_t i = threadIdx.x; i < n_ids; i += blockDim.x) {
    const std::uint32_t key = nucleus_key(row[i]);
    if (((key ^ settled) & nucleus_settled(pass)) != 0) continue;
    const std::uint64_t units = nucleus_units(exp((static_cast<double>(row[i]) - largest) / temperature));
    if (units != 0) atomicAdd(&mass[nucleus_digit(key, pass)], static_cast<unsigned long long>(units));
  }
  __syncthreads();
  std::uint64_t* target = histogram + blockIdx.x * nucleus_digits;
  for (int digit = threadIdx.x; digit < nucleus_digits; digit += blockDim.x) target[digit] = mass[digit];
}

// Sums of neighbouring digits first; one thread then looks at few numbers only.
__global__ void select_in_rows(const std::uint64_t* histogram, std::uint32_t* prefix,
                               std::uint64_t* remaining, int pass, float top_p) {
  begin_kernel();
  constexpr int parts = 64, digits_of_part = nucleus_digits / parts;
  __shared__ std::uint64_t mass_of_part[parts];
  const std::uint64_t* mass = histogram + blockIdx.x * nucleus_digits;
  std::uint64_t sum = 0;
  for (int i = 0; i < digits_of_part; ++i) sum += mass[threadIdx.x * digits_of_part + i];
  mass_of_part[threadIdx.x] = sum;
  __syncthreads();
  if (threadIdx.x != 0) return;

  std::uint64_t wanted = remaining[blockIdx.x];
  if (pass == 0) {
    std::uint64_t total = 0;
    for (const std::uint64_t m : mass_of_part) total += m;
    wanted = nucleus_wanted(total, top_p);
  }
  int part = parts - 1;
  while (part > 0 && mass_of_part[part] < wanted) wanted -= mass_of_part[part--];
  int digit = part * digits_of_part + digits_of_part - 1;
  while (digit > 0 && mass[digit] < wanted) wanted -= mass[digit--];
  remaining[blockIdx.x] = wanted;
  const std::uint32_t settled = pass == 0 ? 0 : prefix[blockIdx.x];
  prefix[blockIdx.x] = settled | static_cast<std::uint32_t>(digit) << (pass == 0 ? 21 : pass == 1 ? 10 : 0);
}

// Values are compared as they are handed on, in f32: then shards of one row choose what the whole row does.
struct Candidate {
  float value;
  std::int32_t id;
};

__device__ Candidate better(Candidate a, Candidate b) {
  if (a.value != b.value) return a.value > b.value ? a : b;
  return a.id < b.id ? a : b;
}

__device__ Candidate best_of_warp(Candidate mine) {
#pragma unroll
  for (int offset = warp_size / 2; offset > 0; offset /= 2) {
    mine = better(mine, {__shfl_xor_sync(0xffffffffu, mine.value, offset),
                         __shfl_xor_sync(0xffffffffu, mine.id, offset)});
  }
  return mine;
}

// Philox gives four words at once: ids of one counter are taken together.
__global__ void draw_in_rows(const float* logits, float temperature, std::uint64_t seed,
                             const std::uint32_t* smallest_key, const std::int32_t* sequence,
                             const std::int32_t* step, std::int64_t first_id, float* best_value,
                             std::int32_t* best_id, std::int64_t n_ids) {
  begin_kernel();
  const float* row = logits + blockIdx.x * n_ids;
  const std::uint32_t smallest = smallest_key == nullptr ? 0 : smallest_key[blockIdx.x];
  const PhiloxKey key = philox_key(seed);
  const auto row_step = static_cast<std::uint32_t>(step[blockIdx.x]);
  const auto row_sequence = static_cast<std::uint32_t>(sequence[blockIdx.x]);
  Candidate best{-INFINITY, static_cast<std::int32_t>(first_id)};
  const std::int64_t last_id = first_id + n_ids;
  for (std::int64_t four = first_id / 4 + threadIdx.x; four * 4 < last_id; four += blockDim.x) {
    PhiloxCounter words{};
    if (temperature > 0) {
      words = philox4x32({static_cast<std::uint32_t>(four), row_step, row_sequence, 0}, key);
    }
#pragma unroll
    for (int j = 0; j < 4; ++j) {
      const std::int64_t id = four * 4 + j;
      if (id < first_id || id >= last_id) continue;
      const float logit = row[id - first_id];
      if (nucleus_key(logit) < smallest) continue;
      float value = logit;
      if (temperature > 0) {
        value = logit / temperature - logf(-logf(uniform_open(words[static_cast<std::size_t>(j)])));
      }
      if (value > best.value) best = {value, static_cast<std::int32_t>(id)};
    }
  }
  __shared__ Candidate of_warp[threads / warp_size];
  best = best_of_warp(best);
  if (threadIdx.x % warp_size == 0) of_warp[threadIdx.x / warp_size] = best;
  __syncthreads();
  if (threadIdx.x >= warp_size) return;
  if (threadIdx.x < threads / warp_size) best = of_warp[threadIdx.x];
  best = best_of_warp(best);
  if (threadIdx.x != 0) return;
  best_value[blockIdx.x] = best.value;
  best_id[blockIdx.x] = best.id;
}

// best: of each shard (rows) values, then (rows) ids.
__global__ void choose_of_shards(const float* best, std::int64_t n_shards, std::int32_t* ids,
                                 std::int64_t rows) {
  begin_kernel();
  const std::int64_t r = static_cast<std::int64_t>(blockIdx.x) * blockDim.x + threadIdx.x;
  if (r >= rows) return;
  std::int64_t chosen = 0;
  for (std::int64_t shard = 1; shard < n_shards; ++shard) {
    if (best[2 * shard * rows + r] > best[2 * chosen * rows + r]) chosen = shard;
  }
  ids[r] = __float_as_int(best[(2 * chosen + 1) * rows + r]);
}

__global__ void end_step_of_rows(const std::int32_t* ids, std::int32_t* history, std::int32_t* step,
                                 std::int32_t* positions, std::int64_t* slots, std::int32_t* own_length,
                                 std::int64_t rows) {
  begin_kernel();
  const std::int64_t r = static_cast<std::int64_t>(blockIdx.x) * blockDim.x + threadIdx.x;
  if (r >= rows) return;
  history[step[r]++ * rows + r] = ids[r];
  if (positions == nullptr) return;
  ++positions[r];
  ++slots[r];
  ++own_length[r];
}

unsigned blocks_over(std::int64_t rows) {
  return static_cast<unsigned>((rows + threads - 1) / threads);
}

unsigned blocks_of(std::int64_t rows) {
  return static_cast<unsigned>(rows);
}

}  // namespace

void CudaKernels::row_max(const float* logits, float* maximum, std::int64_t rows, std::int64_t n_ids,
                          Stream& stream) {
  if (rows == 0) return;
  launch(maximum_of_rows, blocks_of(rows), threads, 0, cuda_stream(stream), logits, maximum, n_ids);
}

void CudaKernels::nucleus_histogram(const float* logits, const float* maximum, const std::uint32_t* prefix,
                                    int pass, float temperature, std::uint64_t* histogram, std::int64_t rows,
                                    std::int64_t n_ids, Stream& stream) {
  if (rows == 0) return;
  launch(histogram_of_rows, blocks_of(rows), threads, 0, cuda_stream(stream), logits, maximum, prefix, pass,
         temperature, histogram, n_ids);
}

void CudaKernels::nucleus_select(const std::uint64_t* histogram, std::uint32_t* prefix,
                                 std::uint64_t* remaining, int pass, float top_p, std::int64_t rows,
                                 Stream& stream) {
  if (rows == 0) return;
  launch(select_in_rows, blocks_of(rows), 64, 0, cuda_stream(stream), histogram, prefix, remaining, pass,
         top_p);
}

void CudaKernels::sample(const float* logits, const SamplingArgs& sampling, const std::uint32_t* smallest_key,
                         const std::int32_t* sequence, const std::int32_t* step, std::int64_t first_id,
                         float* best_value, std::int32_t* best_id, std::int64_t rows, std::int64_t n_ids,
                         Stream& stream) {
  if (rows == 0) return;
  launch(draw_in_rows, blocks_of(rows), threads, 0, cuda_stream(stream), logits, sampling.temperature,
         sampling.seed, smallest_key, sequence, step, first_id, best_value, best_id, n_ids);
}

void CudaKernels::choose(const void* best, std::int64_t n_shards, std::int32_t* ids, std::int64_t rows,
                         Stream& stream) {
  if (rows == 0) return;
  launch(choose_of_shards, blocks_over(rows), threads, 0, cuda_stream(stream),
         static_cast<const float*>(best), n_shards, ids, rows);
}

void CudaKernels::end_step(const std::int32_t* ids, std::int32_t* history, std::int32_t* step,
                           std::int32_t* positions, std::int64_t* slots, std::int32_t* own_length,
                           std::int64_t rows, Stream& stream) {
  if (rows == 0) return;
  launch(end_step_of_rows, blocks_over(rows), threads, 0, cuda_stream(stream), ids, history, step, positions,
         slots, own_length, rows);
}

}  // namespace hydrajob::cuda
