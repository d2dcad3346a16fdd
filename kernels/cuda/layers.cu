// Embedding, normalisation, rotation and gate. All are bound by memory: a row or a head is read once, in
// packs of 16 bytes where sizes and addresses allow.
#include <algorithm>

#include "base/dtype.hpp"
#include "device/cuda_stream.hpp"
#include "kernels/cuda/cuda_kernels.hpp"
#include "kernels/cuda/element.cuh"
#include "kernels/cuda/launch.cuh"
#include "kernels/cuda/packs.hpp"
#include "kernels/cuda/peers.cuh"
#include "kernels/cuda/reduce.cuh"

namespace hydrajob::cuda {
namespace {

// ids (rows); table (n_ids, hidden); residual (rows, hidden). A block a row.
template <int N, class T>
__global__ void embed_rows(const std::int32_t* ids, const T* table, std::int64_t first_id, std::int64_t n_ids,
                           float* residual, std::int64_t hidden) {
  begin_kernel();
  const std::int64_t row = blockIdx.x;
  const std::int64_t local = ids[row] - first_id;
  const bool here = local >= 0 && local < n_ids;
  for (std::int64_t i = threadIdx.x * N; i < hidden; i += blockDim.x * N) {
    float values[N] = {};
    if (here) load(table + local * hidden + i, values);
    store(residual + row * hidden + i, values);
  }
}

constexpr std::int64_t most_norm_threads = 1024;

// residual (rows, hidden) f32; weight (hidden); out (rows, hidden). A block takes every gridDim.x-th row.
// HELD: a thread has one pack of the row at most, and keeps it.
template <int N, bool HELD, class T, class Part>
__global__ __launch_bounds__(most_norm_threads,
                             1) void rmsnorm_rows(float* residual, PartialSums added, const T* weight, T* out,
                                                  std::int64_t rows, std::int64_t hidden, float eps) {
  begin_kernel();
  if (added.meeting.turn != nullptr) meet(added.meeting, added.n);
  const bool shared = added.summed[0] != nullptr;
  if (shared) sum_own_columns<Part, N>(added, rows, hidden);
  for (std::int64_t r = blockIdx.x; r < rows; r += gridDim.x) {
    float* row = residual + r * hidden;
    float squares = 0, values[N];
    for (std::int64_t i = threadIdx.x * N; i < hidden; i += blockDim.x * N) {
      load(row + i, values);
      if (added.n > 0) {
        float sum[N];
        if (shared) {
          load_summed<Part>(added, r * hidden + i, sum);
        } else {
          sum_parts<Part>(added, r * hidden + i, sum);
        }
#pragma unroll
        for (int j = 0; j < N; ++j) values[j] += sum[j];
        store(row + i, values);
      }
#pragma unroll
      for (int j = 0; j < N; ++j) squares += values[j] * values[j];
    }
    squares = reduce_block(squares, 0.0f, [](float a, float b) { return a + b; });
    const float scale = 1.0f / sqrtf(squares / static_cast<float>(hidden) + eps);
    // Each thread reads what it wrote itself.
    for (std::int64_t i = threadIdx.x * N; i < hidden; i += blockDim.x * N) {
      float gain[N];
      if (!HELD) load(row + i, values);
      load(weight + i, gain);
#pragma unroll
      for (int j = 0; j < N; ++j) values[j] = values[j] * scale * gain[j];
      store(out + r * hidden + i, values);
    }
  }
}

struct RopeShape {
  std::int64_t n_heads, n_kv_heads, head_dim;
};

// A block a row, its threads over the packs of all heads: those of q and k take a pack of either half.
template <int N, class T>
__global__ void rope_rows(const T* qkv, const std::int32_t* positions, const std::int64_t* slots,
                          const float* cosine, const float* sine, T* q_out, T* k_cache, T* v_cache,
                          std::int64_t head_stride, std::int64_t token_stride, RopeShape shape) {
  begin_kernel();
  const std::int64_t row = blockIdx.x, half = shape.head_dim / 2;
  const std::int64_t packs = half / N;  // of half a head
  const std::int64_t heads = shape.n_heads + 2 * shape.n_kv_heads;
  const T* source = qkv + row * heads * shape.head_dim;
  const std::int64_t slot = k_cache == nullptr ? -1 : slots[row];
  const float* c = cosine + positions[row] * half;
  const float* s = sine + positions[row] * half;
  const std::int64_t end = (slot < 0 ? shape.n_heads : heads) * packs;
  for (std::int64_t item = threadIdx.x; item < end; item += blockDim.x) {
    const std::int64_t head = item / packs, i = item % packs * N;
    float low[N], high[N];
    load(source + head * shape.head_dim + i, low);
    load(source + head * shape.head_dim + half + i, high);
    const std::int64_t kv_head = (head - shape.n_heads) % shape.n_kv_heads;
    T* target = head < shape.n_heads ? q_out + (row * shape.n_heads + head) * shape.head_dim
                                     : (head < shape.n_heads + shape.n_kv_heads ? k_cache : v_cache) +
                                           kv_head * head_stride + slot * token_stride;
    if (head < shape.n_heads + shape.n_kv_heads) {
      float cos_i[N], sin_i[N];
      load(c + i, cos_i);
      load(s + i, sin_i);
#pragma unroll
      for (int j = 0; j < N; ++j) {
        const float a = low[j], b = high[j];
        low[j] = a * cos_i[j] - b * sin_i[j];
        high[j] = b * cos_i[j] + a * sin_i[j];
      }
    }
    store(target + i, low);
    store(target + half + i, high);
  }
}

// gate_up (rows, 2 width), out (rows, width); blockIdx.y: the row.
template <int N, class T>
__global__ void swiglu_rows(const T* gate_up, T* out, std::int64_t width) {
  begin_kernel();
  const std::int64_t row = blockIdx.y;
  const std::int64_t i = (static_cast<std::int64_t>(blockIdx.x) * blockDim.x + threadIdx.x) * N;
  if (i >= width) return;
  float gate[N], up[N];
  load(gate_up + row * 2 * width + i, gate);
  load(gate_up + row * 2 * width + width + i, up);
#pragma unroll
  for (int j = 0; j < N; ++j) gate[j] = gate[j] / (1.0f + expf(-gate[j])) * up[j];
  store(out + row * width + i, gate);
}

unsigned blocks_of(std::int64_t rows) {
  return static_cast<unsigned>(rows);
}

// Whole warps, no more than the row has packs for.
unsigned threads_for(std::int64_t packs, std::int64_t most = 256) {
  const std::int64_t warps =
      std::clamp<std::int64_t>((packs + warp_size - 1) / warp_size, 1, most / warp_size);
  return static_cast<unsigned>(warps * warp_size);
}

// Runs `launch` with the width of packs that all sizes and pointers allow, as its argument's type.
template <class F>
void with_pack(bool wide, F&& launch) {
  if (wide) {
    launch(std::integral_constant<int, 8>{});
  } else {
    launch(std::integral_constant<int, 1>{});
  }
}

}  // namespace

void CudaKernels::embed(const std::int32_t* ids, const void* table, std::int64_t first_id, std::int64_t n_ids,
                        float* residual, std::int64_t rows, std::int64_t hidden, DType dtype,
                        Stream& stream) {
  if (rows == 0) return;
  with_pack(packs_of(8, 2, {hidden}, {table, residual}), [&](auto n) {
    with_element(dtype, [&]<class T>(T*) {
      launch(embed_rows<n, T>, blocks_of(rows), threads_for(hidden / n), 0, cuda_stream(stream), ids,
             static_cast<const T*>(table), first_id, n_ids, residual, hidden);
    });
  });
}

void CudaKernels::add_rmsnorm(float* residual, const PartialSums& added, const void* weight, void* out,
                              std::int64_t rows, std::int64_t hidden, float eps, DType dtype,
                              Stream& stream) {
  if (rows == 0) return;
  // Blocks of one index meet: the same number on every rank, whatever its GPU.
  const std::int64_t most_blocks = added.meeting.turn == nullptr ? rows : meeting_blocks;
  bool wide = packs_of(8, 2, {hidden}, {residual, weight, out});
  for (int p = 0; p < added.n; ++p) wide = wide && packs_of(8, 2, {}, {added.parts[p], added.summed[p]});
  with_pack(wide, [&](auto n) {
    with_element(dtype, [&]<class T>(T*) {
      with_element(added.dtype, [&]<class Part>(Part*) {
        const bool held = hidden / n <= most_norm_threads;
        launch(held ? rmsnorm_rows<n, true, T, Part> : rmsnorm_rows<n, false, T, Part>,
               blocks_of(std::min(rows, most_blocks)), threads_for(hidden / n, most_norm_threads), 0,
               cuda_stream(stream), residual, added, static_cast<const T*>(weight), static_cast<T*>(out),
               rows, hidden, eps);
      });
    });
  });
}

void CudaKernels::rope_and_cache(const void* qkv, const std::int32_t* positions, const std::int64_t* slots,
                                 const float* cosine, const float* sine, void* q_out, const KvView& kv,
                                 std::int64_t rows, std::int64_t n_heads, std::int64_t n_kv_heads,
                                 std::int64_t head_dim, DType dtype, Stream& stream) {
  if (rows == 0) return;
  const std::int64_t half = head_dim / 2;
  with_pack(packs_of(8, 2, {half, kv.head_stride, kv.token_stride}, {qkv, cosine, sine, q_out, kv.k, kv.v}),
            [&](auto n) {
              const std::int64_t packs = (n_heads + 2 * n_kv_heads) * half / n;
              with_element(dtype, [&]<class T>(T*) {
                launch(rope_rows<n, T>, blocks_of(rows), threads_for(packs), 0, cuda_stream(stream),
                       static_cast<const T*>(qkv), positions, slots, cosine, sine, static_cast<T*>(q_out),
                       static_cast<T*>(kv.k), static_cast<T*>(kv.v), kv.head_stride, kv.token_stride,
                       RopeShape{n_heads, n_kv_heads, head_dim});
              });
            });
}

void CudaKernels::swiglu(const void* gate_up, void* out, std::int64_t rows, std::int64_t width, DType dtype,
                         Stream& stream) {
  if (rows == 0) return;
  constexpr std::int64_t most_rows = 65535;  // of a grid
  with_pack(packs_of(8, 2, {width}, {gate_up, out}), [&](auto n) {
    with_element(dtype, [&]<class T>(T*) {
      const unsigned threads = threads_for(width / n);
      const std::int64_t per_block = static_cast<std::int64_t>(threads) * n;
      for (std::int64_t row = 0; row < rows; row += most_rows) {
        const dim3 grid(static_cast<unsigned>((width + per_block - 1) / per_block),
                        static_cast<unsigned>(std::min(most_rows, rows - row)));
        launch(swiglu_rows<n, T>, grid, threads, 0, cuda_stream(stream),
               static_cast<const T*>(gate_up) + row * 2 * width, static_cast<T*>(out) + row * width, width);
      }
    });
  });
}

}  // namespace hydrajob::cuda
