// Merges partial attention results: softmax over parts of the keys, each part weighted by its share of the
// sum (Hydragen, arXiv 2402.05099, equation 5). Partial results are f32 until here.
#include "device/cuda_stream.hpp"
#include "kernels/cuda/attention_item.cuh"
#include "kernels/cuda/attention_kernels.hpp"
#include "kernels/cuda/reduce.cuh"

namespace hydrajob::cuda {
namespace {

constexpr int warps = 4;

// A warp a row and head.
template <class T>
__global__ void merge(WorkArgs args) {
  const std::int64_t index = static_cast<std::int64_t>(blockIdx.x) * warps + threadIdx.x / warp_size;
  if (index >= args.n_rows * args.n_heads) return;
  const std::int64_t row = index / args.n_heads, head = index % args.n_heads;
  const std::int64_t begin = args.row_parts_begin[row], end = args.row_parts_begin[row + 1];
  float maximum = -INFINITY;
  for (std::int64_t i = begin; i < end; ++i) {
    maximum = fmaxf(maximum, args.part_lse[args.row_parts[i] + head]);
  }
  float sum = 0;
  for (std::int64_t i = begin; i < end; ++i) {
    const float lse = args.part_lse[args.row_parts[i] + head];
    if (lse != -INFINITY) sum += expf(lse - maximum);
  }
  const float share = sum > 0 ? 1.0f / sum : 0.0f;
  for (int dim = threadIdx.x % warp_size; dim < args.head_dim; dim += warp_size) {
    float value = 0;
    for (std::int64_t i = begin; i < end; ++i) {
      const std::int64_t part = args.row_parts[i] + head;
      const float lse = args.part_lse[part];
      // Nothing is read of an empty part: its output was not written.
      if (lse != -INFINITY) value += expf(lse - maximum) * args.part_out[part * args.head_dim + dim];
    }
    static_cast<T*>(args.out)[index * args.head_dim + dim] = from_float<T>(value * share);
  }
  if (args.lse != nullptr && threadIdx.x % warp_size == 0) args.lse[index] = lse_of(maximum, sum);
}

}  // namespace

void merge_parts(const WorkArgs& args, DType dtype, cudaStream_t stream) {
  const std::int64_t results = args.n_rows * args.n_heads;
  if (results == 0) return;
  with_element(dtype, [&]<class T>(T*) {
    merge<T><<<static_cast<unsigned>((results + warps - 1) / warps), warps * warp_size, 0, stream>>>(args);
  });
  HJ_CUDA_CHECK(cudaGetLastError());
}

}  // namespace hydrajob::cuda
