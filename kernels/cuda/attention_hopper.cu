// Work items of many and of few query rows on Hopper, in one launch: the few rows' keys and values, which is
// bound by memory, are read beside the many rows' products on every multiprocessor, or by some of them before
// they take over products too. Of many rows, one warp copies keys and values in, two warpgroups (one, where
// no item has more rows than that) multiply 64 packed rows each, the scores of one block while the values of
// the last are summed (FlashAttention-3, arXiv 2407.08608). Blocks stay and take items from a queue, so that
// one's last steps overlap the next one's first copies.
#include <algorithm>
#include <type_traits>

#include "device/cuda_stream.hpp"
#include "kernels/cuda/attention_item.cuh"
#include "kernels/cuda/attention_kernels.hpp"
#include "kernels/cuda/attention_plan.hpp"
#include "kernels/cuda/attention_walk.cuh"
#include "kernels/cuda/attention_warp.cuh"
#include "kernels/cuda/hopper.cuh"
#include "kernels/cuda/kv_map.hpp"
#include "kernels/cuda/launch.cuh"
#include "kernels/cuda/packed_rows.cuh"

namespace hydrajob::cuda {
namespace {

constexpr int head_dim = hopper_head_dim;
constexpr int group_threads = 128;
constexpr int most_consumers = tile_rows / hopper_group_rows;
constexpr int rows = hopper_group_rows;
constexpr int keys = 128;  // of a block of keys
constexpr int stages = 2;
constexpr int halves = head_dim / swizzled_columns;
constexpr int block_elements = keys * head_dim;
constexpr int tasks = 2;  // known at a time

// An item and a KV head that the copying warp has taken from the queue.
struct Task {
  WorkItem item;
  int kv_head;  // negative: the queue is empty
  int tokens;   // that the last row sees, which sees most
};

constexpr int walk_stages = 2;
constexpr int alignment = 1024;  // of what the copy engine writes; a block's memory may begin anywhere

// Walking before tiles, with all of the block's memory, and beside them.
template <class T>
using EarlyWalker = Walker<T, head_dim, walk_stages, 32>;
// Three at once: the most for which ptxas 13.0 keeps all of the loop in registers. With a few of them in
// memory a shape that is bound by reading took a fifth longer.
template <class T>
using LateWalker = Walker<T, head_dim, walk_stages, 8, 3>;

template <class T>
struct Shared {
  alignas(1024) T q[most_consumers][halves][rows * swizzled_columns];
  alignas(1024) T k[stages][block_elements];  // each (halves, keys, 64), swizzled
  alignas(1024) T v[stages][block_elements];
  Unit known[walkers_beside_tiles][LateWalker<T>::Memory::known_units];
  Task task[tasks];
  std::uint64_t k_there[stages], v_there[stages], k_free[stages], v_free[stages];
  std::uint64_t task_there[tasks], task_free[tasks];
};

// Before tiles as many warps walk, whatever they do later.
constexpr int threads_of(int consumers, bool beside) {
  return (1 + (beside ? consumers + 1 : most_consumers)) * group_threads;
}
template <class T>
constexpr int shared_bytes_of(bool beside) {
  const int tiles = sizeof(Shared<T>);
  return alignment + (beside ? tiles + walkers_beside_tiles * LateWalker<T>::Memory::staged_bytes
                             : std::max(tiles, walkers_before_tiles * EarlyWalker<T>::Memory::bytes));
}
constexpr int most_shared_bytes = 232448;  // of a block, compute capability 9.0
static_assert(std::max(shared_bytes_of<__half>(true), shared_bytes_of<__half>(false)) <= most_shared_bytes);
static_assert(walkers_before_tiles * 32 <= threads_of(1, false) &&
              walkers_beside_tiles * 32 == group_threads);

#ifdef __CUDA_ARCH_FEAT_SM90_ALL

constexpr int half_elements = keys * swizzled_columns;

// Of keys.
__device__ int blocks_of(const Task& task) {
  return (task.tokens + keys - 1) / keys;
}

// --- the warp that copies ---

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
  __device__ Producer(Shared<T>& shared, const CUtensorMap& k_map, const CUtensorMap& v_map)
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

  Shared<T>& shared_;
  const CUtensorMap& k_map_;
  const CUtensorMap& v_map_;
  int copied_ = 0;  // blocks of keys
};

// --- the warpgroups that multiply ---

template <class T>
class Consumer {
 public:
  __device__ Consumer(Shared<T>& shared, const WorkArgs& args)
      : shared_(shared), args_(args), scale_log2_(args.scale * 1.44269504f) {}

  __device__ void run() {
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
  // All threads of this warpgroup; barrier 0 is the block's.
  __device__ void meet() const {
    asm volatile("bar.sync %0, %1;\n" ::"r"(1 + group()), "n"(group_threads) : "memory");
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
    const auto* q = static_cast<const T*>(args_.q);
    constexpr int pieces = head_dim / 8;
    for (int i = thread(); i < rows * pieces; i += group_threads) {
      const int r = i / pieces, piece = i % pieces, p = group() * rows + r;
      const bool there = p < packed.count;
      const std::int64_t from =
          there ? (task.item.row_begin + packed.row(p)) * args_.n_heads + packed.head(p) : 0;
      T* half = shared_.q[group()][piece / 8];
      copy_16(half + r * swizzled_columns + ((piece % 8) ^ (r % 8)) * 8, q + from * head_dim + piece * 8,
              there);
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
    begin_scores(scores, 0);
    products_wait<0>();
    release(shared_.k_free[stage_of(0)]);
    exponentiate(scores, 0, keep);
    pack(scores, weights);
    for (int i = 1; i < blocks; ++i) {
      wait_keys(i);
      begin_scores(scores, i);
      take_values(i - 1);
      begin_sums(weights, i - 1);
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
      if (row(half) >= packed.count) continue;
      const std::int64_t result = result_row(item, args_, packed.row(row(half)), packed.head(row(half)));
      const float share = sum > 0 ? 1.0f / sum : 0.0f;
#pragma unroll
      for (int d = 0; d < head_dim / 8; ++d) {
        const float pair[2] = {out_[d * 4 + 2 * half] * share, out_[d * 4 + 2 * half + 1] * share};
        write_out<T>(args_, result, d * 8 + lane() % 4 * 2, pair);
      }
      if (lane() % 4 == 0) write_sum(args_, result, maximum_[half] * args_.scale, sum);
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
    products_begin();
#pragma unroll
    for (int d = 0; d < head_dim; d += 16) {
      const int half = d / swizzled_columns, bytes = d % swizzled_columns * 2;
      const std::uint64_t a = swizzled_matrix(shared_.q[group()][half], 16);
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

  Shared<T>& shared_;
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
__device__ void init_barriers(Shared<T>& shared, int consumers) {
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

// The last block leaves the queue as it was before the launch.
__device__ void leave(Queue* queue) {
  if (atomicAdd(&queue->left, 1u) + 1 < gridDim.x) return;
  queue->taken = 0;
  queue->left = 0;
}

#endif  // of sm_90a

// BESIDE: a warpgroup walks beside the tiles; else the first `reading` blocks walk before they take tiles. A
// block fills a multiprocessor. One kernel for both was 2 to 4 us slower where nothing is read before.
template <class T, int CONSUMERS, bool BESIDE>
__global__ __launch_bounds__(threads_of(CONSUMERS, BESIDE),
                             1) void attend(Walk walk, int reading, const WorkItem* items, unsigned n_items,
                                            Queue* queue, WorkArgs args,
                                            const __grid_constant__ CUtensorMap k_map,
                                            const __grid_constant__ CUtensorMap v_map) {
#ifdef __CUDA_ARCH_FEAT_SM90_ALL
  extern __shared__ std::uint8_t raw[];
  // The next kernel finds no room beside this one: it need not be set up early.
  cudaGridDependencySynchronize();
  std::uint8_t* aligned = raw + (alignment - shared_address(raw) % alignment) % alignment;
  const int block = static_cast<int>(blockIdx.x), warp = static_cast<int>(threadIdx.x / 32);
  // Units go over the blocks first: what is left over by the last round is then no block's alone.
  if (!BESIDE && block < reading) {
    if (warp < walkers_before_tiles) {
      EarlyWalker<T>(walk, warp * reading + block, args,
                     EarlyWalker<T>::Memory::of_warp(aligned, warp, walkers_before_tiles))
          .run();
    }
    wait_copies<0>();
    fence_stores();  // the copy engine takes over their place
    __syncthreads();
  }
  auto& shared = *reinterpret_cast<Shared<T>*>(aligned);
  if (threadIdx.x == 0) init_barriers(shared, CONSUMERS);
  __syncthreads();
  const int warpgroup = static_cast<int>(threadIdx.x) / group_threads;
  if (warpgroup == 0) {
    give_registers<BESIDE ? 32 : 40>();
    if (threadIdx.x == 0) {
      Producer<T>(shared, k_map, v_map).run(items, n_items, &queue->taken, args);
      leave(queue);
    }
  } else if (warpgroup <= CONSUMERS) {
    take_registers<BESIDE && CONSUMERS == 2 ? 192 : 232>();
    Consumer<T>(shared, args).run();
  } else if (BESIDE) {
    give_registers<CONSUMERS == 2 ? 96 : 144>();
    const int walker = warp - (CONSUMERS + 1) * walkers_beside_tiles;
    LateWalker<T>(
        walk, walker * static_cast<int>(gridDim.x) + block, args,
        {aligned + sizeof(Shared<T>) + walker * LateWalker<T>::Memory::staged_bytes, shared.known[walker]})
        .run();
  }
#endif
}

}  // namespace

void attend_hopper(const WorkItem* items, std::int64_t n_items, int groups, const WorkItem* few,
                   std::int64_t n_few, int reading_first, const Processors& processors, Queue* queue,
                   const WorkArgs& args, DType dtype, cudaStream_t stream) {
  const std::int64_t units = n_few * args.n_kv_heads, all = n_items * args.n_kv_heads;
  const auto launch_with = [&]<class T, int CONSUMERS, bool BESIDE>(
                               T*, std::integral_constant<int, CONSUMERS>, std::bool_constant<BESIDE>) {
    const std::int64_t reading = BESIDE ? 0 : std::min<std::int64_t>(units, reading_first);
    const std::int64_t wanted = BESIDE ? std::max(units, all) : reading + all;
    const std::int64_t blocks = std::min<std::int64_t>(wanted, processors.count);
    if (blocks == 0) return;
    const std::int64_t walkers = BESIDE ? blocks * walkers_beside_tiles : reading * walkers_before_tiles;
    constexpr int shared_bytes = shared_bytes_of<T>(BESIDE);
    const auto kernel = attend<T, CONSUMERS, BESIDE>;
    HJ_CUDA_CHECK(cudaFuncSetAttribute(kernel, cudaFuncAttributeMaxDynamicSharedMemorySize, shared_bytes));
    launch(kernel, static_cast<unsigned>(blocks), threads_of(CONSUMERS, BESIDE), shared_bytes, stream,
           Walk(few, n_few, walkers, args), static_cast<int>(reading), items, static_cast<unsigned>(n_items),
           queue, args, make_kv_map(args.kv.k, args, keys, dtype), make_kv_map(args.kv.v, args, keys, dtype));
  };
  const auto launch_by_groups = [&](auto beside) {
    with_tensor_element(dtype, [&](auto* element) {
      if (groups == 1) {
        launch_with(element, std::integral_constant<int, 1>(), beside);
      } else {
        launch_with(element, std::integral_constant<int, most_consumers>(), beside);
      }
    });
  };
  if (units > 0 && reading_first == 0) {
    launch_by_groups(std::true_type());
  } else {
    launch_by_groups(std::false_type());
  }
}

}  // namespace hydrajob::cuda
