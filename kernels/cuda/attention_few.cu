// Work items of few query rows, bound by reading keys and values: every warp walks.
#include <algorithm>

#include "kernels/cuda/attention_tensor.cuh"
#include "kernels/cuda/attention_walk.cuh"
#include "kernels/cuda/launch.cuh"

namespace hydrajob::cuda {
namespace {

constexpr int stages = 4, known_units = 32;

template <class T, int HEAD_DIM>
using Walking = Walker<T, HEAD_DIM, stages, known_units>;

template <class T, int HEAD_DIM>
__global__ __launch_bounds__(walkers_alone * 32) void attend(Walk walk, WorkArgs args) {
  extern __shared__ __align__(256) std::uint8_t shared[];
  begin_kernel();
  const int warp = static_cast<int>(threadIdx.x / 32), warps = static_cast<int>(blockDim.x / 32);
  // Few units are spread over the blocks before any block has two.
  Walking<T, HEAD_DIM>(walk, warp * gridDim.x + blockIdx.x, args,
                       Walking<T, HEAD_DIM>::Memory::of_warp(shared, warp, warps))
      .run();
}

template <class T, int HEAD_DIM>
void launch_few(const WorkItem* items, std::int64_t n_items, const Processors& processors,
                const WorkArgs& args, cudaStream_t stream) {
  constexpr int warp_bytes = Walking<T, HEAD_DIM>::Memory::bytes;
  const int warps = std::min(walkers_alone, processors.shared_of_block / warp_bytes);
  const int bytes = warps * warp_bytes;
  HJ_CUDA_CHECK(
      cudaFuncSetAttribute(attend<T, HEAD_DIM>, cudaFuncAttributeMaxDynamicSharedMemorySize, bytes));
  int at_once = 0;
  HJ_CUDA_CHECK(cudaOccupancyMaxActiveBlocksPerMultiprocessor(&at_once, attend<T, HEAD_DIM>, warps * 32,
                                                              static_cast<std::size_t>(bytes)));
  const std::int64_t units = n_items * args.n_kv_heads;
  const std::int64_t blocks = std::min<std::int64_t>(units, std::int64_t{processors.count} * at_once);
  launch(attend<T, HEAD_DIM>, static_cast<unsigned>(blocks), static_cast<unsigned>(warps * 32),
         static_cast<std::size_t>(bytes), stream, Walk(items, n_items, blocks * warps, args), args);
}

}  // namespace

void attend_few(const WorkItem* items, std::int64_t n_items, const Processors& processors,
                const WorkArgs& args, DType dtype, cudaStream_t stream) {
  if (n_items == 0) return;
  with_tensor_element(dtype, [&]<class T>(T*) {
    with_head_dim(args.head_dim,
                  [&](auto head_dim) { launch_few<T, head_dim>(items, n_items, processors, args, stream); });
  });
}

}  // namespace hydrajob::cuda
