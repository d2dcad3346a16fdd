// Work items of many and of few query rows on Hopper, in one launch: the few rows' keys and values, which is
// bound by memory, are read beside the many rows' products on every multiprocessor, or by some of them before
// they take over products too.
#include <algorithm>
#include <type_traits>

#include "device/cuda_stream.hpp"
#include "kernels/cuda/attention_hopper_tiles.cuh"
#include "kernels/cuda/attention_kernels.hpp"
#include "kernels/cuda/attention_walk.cuh"
#include "kernels/cuda/kv_map.hpp"
#include "kernels/cuda/launch.cuh"

namespace hydrajob::cuda {
namespace {

using hopper::group_threads;
using hopper::most_consumers;
constexpr int walk_stages = 2;
constexpr int alignment = 1024;  // of what the copy engine writes; a block's memory may begin anywhere

// Walking before tiles, with all of the block's memory, and beside them.
template <class T>
using EarlyWalker = Walker<T, hopper_head_dim, walk_stages, 32>;
// Three at once: the most for which ptxas 13.0 keeps all of the loop in registers. With a few of them in
// memory a shape that is bound by reading took a fifth longer.
template <class T>
using LateWalker = Walker<T, hopper_head_dim, walk_stages, 8, 3>;

template <class T>
struct Shared {
  hopper::TileMemory<T> tiles;
  Unit known[walkers_beside_tiles][LateWalker<T>::Memory::known_units];
};
static_assert(sizeof(Shared<__half>) % 256 == 0);  // the walkers' stages follow, aligned so

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

// What the merge waits for first, into the second-level cache, which other layers have gone through since.
// thread: of `threads` of each block that do it.
__device__ void prefetch_parts(const WorkArgs& args, int thread, int threads) {
  constexpr int line = 128 / sizeof(std::int64_t);
  if (args.part_out == nullptr) return;
  const std::int64_t first = (static_cast<std::int64_t>(blockIdx.x) * threads + thread) * line;
  const std::int64_t step = static_cast<std::int64_t>(gridDim.x) * threads * line;
  for (std::int64_t i = first; i < args.n_row_parts; i += step) prefetch(args.row_parts + i);
  if (args.parts_of_each > 0) return;
  for (std::int64_t i = first; i <= args.n_rows; i += step) prefetch(args.row_parts_begin + i);
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
  if (threadIdx.x == 0) {
    prefetch_map(k_map);
    prefetch_map(v_map);
  }
  // The next kernel finds no room beside this one: admitted now, it only made the end slower.
  await_kernels_before();
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
  if (threadIdx.x == 0) hopper::init_barriers(shared.tiles, CONSUMERS);
  __syncthreads();
  const int warpgroup = static_cast<int>(threadIdx.x) / group_threads;
  if (warpgroup == 0) {
    give_registers<BESIDE ? 32 : 40>();
    if (threadIdx.x == 0) {
      hopper::Producer<T>(shared.tiles, k_map, v_map).run(items, n_items, &queue->taken, args);
      leave(queue);
    } else if (warp > 0) {
      prefetch_parts(args, static_cast<int>(threadIdx.x) - 32, group_threads - 32);
    }
  } else if (warpgroup <= CONSUMERS) {
    take_registers<BESIDE && CONSUMERS == 2 ? 192 : 232>();
    hopper::Consumer<T, CONSUMERS>(shared.tiles, args).run();
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
           queue, args, make_kv_map(args.kv.k, args, hopper::keys, dtype),
           make_kv_map(args.kv.v, args, hopper::keys, dtype));
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
