// Tiles of many query rows on Hopper: a thread copies keys and values in, two warpgroups (one, where no item
// has more rows than that) multiply 64 packed rows each, the scores of one block of keys while the values of
// the last are summed (FlashAttention-3, arXiv 2407.08608). Tiles are taken from a queue, so that one's last
// steps overlap the next one's first copies.
#pragma once

#include <cstddef>

#include "kernels/cuda/attention_item.cuh"
#include "kernels/cuda/attention_kernels.hpp"
#include "kernels/cuda/attention_plan.hpp"
#include "kernels/cuda/attention_warp.cuh"
#include "kernels/cuda/hopper.cuh"
#include "kernels/cuda/packed_rows.cuh"

namespace hydrajob::cuda::hopper {

constexpr int head_dim = hopper_head_dim;
constexpr int group_threads = 128;
constexpr int most_consumers = tile_rows / hopper_group_rows;
constexpr int rows = hopper_group_rows;
constexpr int keys = 128;  // of a block of keys
constexpr int stages = 2;
constexpr int halves = head_dim / swizzled_columns;
constexpr int block_elements = keys * head_dim;
constexpr int tasks = 2;  // known at a time

// An item and a KV head that the copying thread has taken from the queue.
struct Task {
  WorkItem item;
  int kv_head;  // negative: the queue is empty
  int tokens;   // that the last row sees, which sees most
};

// A block's, at a multiple of 1024 bytes, as the swizzle asks of q, k and v. Its own alignment is what the
// walkers' stages behind it need: with 1024 the block's memory would not hold both.
template <class T>
struct alignas(256) TileMemory {
  T q[most_consumers][halves][rows * swizzled_columns];
  T k[stages][block_elements];  // each (halves, keys, 64), swizzled
  T v[stages][block_elements];
  Task task[tasks];
  std::uint64_t k_there[stages], v_there[stages], k_free[stages], v_free[stages];
  std::uint64_t task_there[tasks], task_free[tasks];
};
static_assert(offsetof(TileMemory<__half>, k) % 1024 == 0 && offsetof(TileMemory<__half>, v) % 1024 == 0);

#ifdef __CUDA_ARCH_FEAT_SM90_ALL

constexpr int half_elements = keys * swizzled_columns;

// Of keys.
__device__ int blocks_of(const Task& task) {
  return (task.tokens + keys - 1) / keys;
}

// --- the thread that copies ---

template <class T>
__device__ void copy_block(T* target, const CUtensorMap& map, int first, int kv_head, std::uint64_t* there) {
  barrier_expect(there, block_elements * static_cast<int>(sizeof(T)));
#pragma unroll
  for (int half = 0; half < halves; ++half) {
    copy_box(target + half * half_elements, map, half * swizzled_columns, first, kv_head, there);
  }
}

template <class T>
class Producer {
 public:
  __device__ Producer(TileMemory<T>& shared, const CUtensorMap& k_map, const CUtensorMap& v_map)
      : shared_(shared), k_map_(k_map), v_map_(v_map) {}

  // Items of the queue until it is empty.
  __device__ void run(const WorkItem* items, unsigned n_items, unsigned* queue, const WorkArgs& args) {
    for (int t = 0;; ++t) {
      const unsigned index = atomicAdd(queue, 1u);
      const bool there = index < n_items * static_cast<unsigned>(args.n_kv_heads);
      Task task{};
      task.kv_head = -1;
      if (there) {
        task.item = items[index % n_items];
        task.kv_head = static_cast<int>(index / n_items);
        task.tokens = visible(task.item, args, task.item.n_rows - 1);
      }
      if (t >= tasks) barrier_wait(&shared_.task_free[place_of<tasks>(t)], turn_of<tasks>(t - tasks));
      shared_.task[place_of<tasks>(t)] = task;
      barrier_arrive(&shared_.task_there[place_of<tasks>(t)]);
      if (!there) return;
      copy(task);
    }
  }

 private:
  __device__ void copy(const Task& task) {
    for (int i = 0; i < blocks_of(task); ++i, ++copied_) {
      const int stage = place_of<stages>(copied_), turn = turn_of<stages>(copied_ - stages);
      const int first = static_cast<int>(task.item.kv_first) + i * keys;
      if (copied_ >= stages) barrier_wait(&shared_.k_free[stage], turn);
      copy_block(shared_.k[stage], k_map_, first, task.kv_head, &shared_.k_there[stage]);
      if (copied_ >= stages) barrier_wait(&shared_.v_free[stage], turn);
      copy_block(shared_.v[stage], v_map_, first, task.kv_head, &shared_.v_there[stage]);
    }
  }

  TileMemory<T>& shared_;
  const CUtensorMap& k_map_;
  const CUtensorMap& v_map_;
  int copied_ = 0;  // blocks of keys
};

// --- the warpgroups that multiply ---

template <class T, int CONSUMERS>
class Consumer {
 public:
  __device__ Consumer(TileMemory<T>& shared, const WorkArgs& args)
      : shared_(shared), args_(args), scale_log2_(args.scale * 1.44269504f) {}

  __device__ void run() {
    if (group() == 1) pass_turn();  // the first is the other's
    Task task = take(0);
    begin_queries(task);
    for (int t = 0; task.kv_head >= 0; ++t) {
      const PackedRows packed(task.item, task.kv_head, args_);
#pragma unroll
      for (int half = 0; half < 2; ++half) limit_[half] = packed.limit(row(half), task.item, args_);
      tokens_ = task.tokens;
      end_queries();
      Task next;
      attend(blocks_of(task), [&] {
        next = take(t + 1);
        meet();
        begin_queries(next);
      });
      write(task.item, packed);
      task = next;
    }
  }

 private:
  __device__ static int thread() {
    return threadIdx.x % group_threads;
  }
  __device__ static int lane() {
    return threadIdx.x % 32;
  }
  __device__ static int group() {
    return threadIdx.x / group_threads - 1;
  }
  // The packed row of a thread's upper or lower half of its warp's 16.
  __device__ static int row(int half) {
    return group() * rows + thread() / 32 * 16 + half * 8 + lane() / 4;
  }
  // The block's barriers: 0 is all threads', one is each warpgroup's own, and one each is for its turn.
  static constexpr int own = 1, turns = own + most_consumers;

  // All threads of this warpgroup.
  __device__ void meet() const {
    asm volatile("bar.sync %0, %1;\n" ::"r"(own + group()), "n"(group_threads) : "memory");
  }

  // Two warpgroups give their products to the tensor cores by turns, so that one's softmax runs beside the
  // other's products (FlashAttention-3, section 3.1). Without, times differed by a tenth between loops of
  // nearly the same code (docs/attention.md).
  __device__ static void await_turn() {
    if (CONSUMERS == 1) return;
    asm volatile("bar.sync %0, %1;\n" ::"r"(turns + group()), "n"(2 * group_threads) : "memory");
  }
  __device__ static void pass_turn() {
    if (CONSUMERS == 1) return;
    asm volatile("bar.arrive %0, %1;\n" ::"r"(turns + 1 - group()), "n"(2 * group_threads) : "memory");
  }

  __device__ void release(std::uint64_t& barrier) const {
    if (thread() == 0) barrier_arrive(&barrier);
  }

  __device__ Task take(int t) {
    barrier_wait(&shared_.task_there[place_of<tasks>(t)], turn_of<tasks>(t));
    const Task task = shared_.task[place_of<tasks>(t)];
    barrier_arrive(&shared_.task_free[place_of<tasks>(t)]);
    return task;
  }

  __device__ void begin_queries(const Task& task) {
    if (task.kv_head < 0) return;
    const PackedRows packed(task.item, task.kv_head, args_);
    constexpr int pieces = head_dim / 8, at_once = group_threads / pieces;
    static_assert(at_once % 8 == 0);  // a thread's piece stands at the same place of all of its rows
    const int first = thread() / pieces, piece = thread() % pieces;
    const T* q = static_cast<const T*>(args_.q) + task.item.row_begin * args_.n_heads * head_dim + piece * 8;
    T* to = shared_.q[group()][piece / 8] + first * swizzled_columns + ((piece % 8) ^ (first % 8)) * 8;
#pragma unroll
    for (int r = 0; r < rows; r += at_once) {
      const int p = group() * rows + first + r;
      const bool there = p < packed.count;
      copy_16(to + r * swizzled_columns, q + (there ? packed.place(p) : 0) * head_dim, there);
    }
    commit_copies();
  }

  __device__ void end_queries() {
    wait_copies<0>();
    fence_stores();
    meet();
  }

  // queries_done: called when this item's queries are not needed any more, with sums still to come.
  template <class QueriesDone>
  __device__ void attend(int blocks, const QueriesDone& queries_done) {
#pragma unroll
    for (int n = 0; n < 64; ++n) out_[n] = 0;
#pragma unroll
    for (int half = 0; half < 2; ++half) {
      maximum_[half] = -INFINITY;
      sum_[half] = 0;
    }
    if (blocks == 0) return queries_done();
    float scores[64], keep[2];
    std::uint32_t weights[keys / 16][4];
    wait_keys(0);
    await_turn();
    begin_scores(scores, 0);
    pass_turn();
    products_wait<0>();
    release(shared_.k_free[stage_of(0)]);
    exponentiate(scores, 0, keep);
    pack(scores, weights);
    for (int i = 1; i < blocks; ++i) {
      wait_keys(i);
      await_turn();
      begin_scores(scores, i);
      take_values(i - 1);
      begin_sums(weights, i - 1);
      pass_turn();
      products_wait<1>();
      release(shared_.k_free[stage_of(i)]);
      exponentiate(scores, i, keep);
      products_wait<0>();
      release(shared_.v_free[stage_of(i - 1)]);
      rescale(keep);
      pack(scores, weights);
    }
    queries_done();
    take_values(blocks - 1);
    begin_sums(weights, blocks - 1);
    products_wait<0>();
    release(shared_.v_free[stage_of(blocks - 1)]);
    used_ += blocks;
  }

  __device__ void write(const WorkItem& item, const PackedRows& packed) {
#pragma unroll
    for (int half = 0; half < 2; ++half) {
      float sum = sum_[half];
      sum += __shfl_xor_sync(0xffffffffu, sum, 1);
      sum += __shfl_xor_sync(0xffffffffu, sum, 2);
      const bool there = row(half) < packed.count;
      const std::int64_t result = first_result(item, args_) + packed.place(row(half));
      const float share = sum > 0 ? 1.0f / sum : 0.0f;
#pragma unroll
      for (int d = 0; d < head_dim / 8; d += 2) {
        float four[4];
        exchange(d, half, share, four);
        if (there) write_out<T>(args_, result, (d + lane() % 2) * 8 + lane() % 4 / 2 * 4, four);
      }
      if (there && lane() % 4 == 0) write_sum(args_, result, maximum_[half] * args_.scale, sum);
    }
  }

  // Of two neighbouring eights of dimensions a thread holds two of each; with its neighbour's it has four of
  // one, which are written at once: the even thread of the first eight, the odd one of the second.
  __device__ void exchange(int d, int half, float share, float (&four)[4]) const {
    const bool odd = lane() % 2;
#pragma unroll
    for (int i = 0; i < 2; ++i) {
      const float first = out_[d * 4 + 2 * half + i] * share, second = out_[d * 4 + 4 + 2 * half + i] * share;
      const float got = __shfl_xor_sync(0xffffffffu, odd ? first : second, 1);
      four[i] = odd ? got : first;
      four[i + 2] = odd ? second : got;
    }
  }

  // Where block i of this item stands in the ring of keys and values.
  __device__ int stage_of(int i) const {
    return place_of<stages>(used_ + i);
  }
  __device__ int turn_at(int i) const {
    return turn_of<stages>(used_ + i);
  }

  __device__ void wait_keys(int i) {
    barrier_wait(&shared_.k_there[stage_of(i)], turn_at(i));
  }

  __device__ void begin_scores(float (&scores)[64], int i) {
    const T* k = shared_.k[stage_of(i)];
    const T* q = shared_.q[group()][0];
    asm volatile("" : "+l"(q));  // else eight matrices are known all along, for which there are no registers
    products_begin();
#pragma unroll
    for (int d = 0; d < head_dim; d += 16) {
      const int half = d / swizzled_columns, bytes = d % swizzled_columns * 2;
      const std::uint64_t a = swizzled_matrix(q + half * rows * swizzled_columns, 16);
      const std::uint64_t b = swizzled_matrix(k + half * half_elements, 16);
      multiply_shared<T>(scores, advanced(a, bytes), advanced(b, bytes), d > 0);
    }
    products_commit();
  }

  // The values of block i are there, and those after the item's last token, which are another's or nobody's,
  // are zeros: no weight makes nothing of what is not a number. Both warpgroups write the same zeros.
  __device__ void take_values(int i) {
    barrier_wait(&shared_.v_there[stage_of(i)], turn_at(i));
    const int there = tokens_ - i * keys;
    if (there >= keys) return;
    T* v = shared_.v[stage_of(i)];
    constexpr int pieces = swizzled_columns / 8;
    for (int j = thread(); j < (keys - there) * pieces * halves; j += group_threads) {
      const int half = j / ((keys - there) * pieces), at = j % ((keys - there) * pieces);
      *reinterpret_cast<uint4*>(v + half * half_elements + there * swizzled_columns + at * 8) = uint4{};
    }
    fence_stores();
    meet();
  }

  __device__ void begin_sums(const std::uint32_t (&weights)[keys / 16][4], int i) {
    const std::uint64_t v =
        swizzled_matrix(shared_.v[stage_of(i)], half_elements * static_cast<int>(sizeof(T)));
    products_begin();
#pragma unroll
    for (int n = 0; n < keys / 16; ++n) multiply_registers<T>(out_, weights[n], advanced(v, n * 16 * 128));
    products_commit();
  }

  // Scores of block i become weights; `keep`: what the sums so far are to be multiplied with.
  __device__ void exponentiate(float (&scores)[64], int i, float (&keep)[2]) {
    const int column = i * keys + lane() % 4 * 2;
    if ((i + 1) * keys > min(limit_[0], limit_[1])) {
#pragma unroll
      for (int n = 0; n < 64; ++n) {
        if (column + n / 4 * 8 + n % 2 >= limit_[n / 2 % 2]) scores[n] = -INFINITY;
      }
    }
#pragma unroll
    for (int half = 0; half < 2; ++half) {
      float largest = maximum_[half];
#pragma unroll
      for (int n = 2 * half; n < 64; n += 4) largest = fmaxf(largest, fmaxf(scores[n], scores[n + 1]));
      largest = fmaxf(largest, __shfl_xor_sync(0xffffffffu, largest, 1));
      largest = fmaxf(largest, __shfl_xor_sync(0xffffffffu, largest, 2));
      const float origin = largest == -INFINITY ? 0.0f : largest * scale_log2_;
      keep[half] = power_of_2(maximum_[half] * scale_log2_ - origin);
      maximum_[half] = largest;
      float added = 0;
#pragma unroll
      for (int n = 2 * half; n < 64; n += 4) {
        scores[n] = power_of_2(scores[n] * scale_log2_ - origin);
        scores[n + 1] = power_of_2(scores[n + 1] * scale_log2_ - origin);
        added += scores[n] + scores[n + 1];
      }
      sum_[half] = sum_[half] * keep[half] + added;
    }
  }

  __device__ void rescale(const float (&keep)[2]) {
#pragma unroll
    for (int n = 0; n < 64; ++n) out_[n] *= keep[n / 2 % 2];
  }

  __device__ static void pack(const float (&scores)[64], std::uint32_t (&weights)[keys / 16][4]) {
#pragma unroll
    for (int n = 0; n < keys / 16; ++n) {
#pragma unroll
      for (int j = 0; j < 4; ++j) weights[n][j] = paired<T>(scores[n * 8 + 2 * j], scores[n * 8 + 2 * j + 1]);
    }
  }

  TileMemory<T>& shared_;
  const WorkArgs& args_;
  float scale_log2_;
  int used_ = 0;  // blocks of keys, of the items before
  // Of the item:
  int tokens_ = 0;
  int limit_[2];
  float out_[64];  // not yet divided by the sum
  float maximum_[2];
  float sum_[2];
};

template <class T>
__device__ void init_barriers(TileMemory<T>& shared, int consumers) {
  for (int stage = 0; stage < stages; ++stage) {
    barrier_init(&shared.k_there[stage], 1);
    barrier_init(&shared.v_there[stage], 1);
    barrier_init(&shared.k_free[stage], consumers);
    barrier_init(&shared.v_free[stage], consumers);
  }
  for (int t = 0; t < tasks; ++t) {
    barrier_init(&shared.task_there[t], 1);
    barrier_init(&shared.task_free[t], consumers * group_threads);
  }
  barriers_ready();
}

#endif  // of sm_90a

}  // namespace hydrajob::cuda::hopper
