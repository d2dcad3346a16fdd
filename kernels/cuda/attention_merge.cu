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
    maximum = fmaxf(maximum, args.part_sum[2 * (args.row_parts[i] + head)]);
  }
  // The part's share of the sum; nothing is read of an empty part's output, which was not written.
  const auto mass = [&](std::int64_t part) {
    const float of_part = args.part_sum[2 * part + 1];
    return of_part > 0 ? of_part * expf(args.part_sum[2 * part] - maximum) : 0.0f;
  };
  float sum = 0;
  for (std::int64_t i = begin; i < end; ++i) sum += mass(args.row_parts[i] + head);
  const float share = sum > 0 ? 1.0f / sum : 0.0f;
  for (int dim = threadIdx.x % warp_size; dim < args.head_dim; dim += warp_size) {
    float value = 0;
    for (std::int64_t i = begin; i < end; ++i) {
      const std::int64_t part = args.row_parts[i] + head;
      const float weight = mass(part);
      if (weight > 0) value += weight * args.part_out[part * args.head_dim + dim];
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
