#include "kernels/cuda/cuda_kernels.hpp"

#include <fmt/format.h>

#include "base/error.hpp"
#include "device/cuda_stream.hpp"
#include "kernels/cuda/attention_kernels.hpp"
#include "kernels/cuda/attention_plan.hpp"
#include "kernels/cuda/packs.hpp"

namespace hydrajob::cuda {
namespace {

int count_processors() {
  int device = 0, count = 0;
  HJ_CUDA_CHECK(cudaGetDevice(&device));
  HJ_CUDA_CHECK(cudaDeviceGetAttribute(&count, cudaDevAttrMultiProcessorCount, device));
  return count;
}

// The tensor cores' kernels move 16 bytes at once.
bool is_aligned(const AttentionArgs& args) {
  return packs_of(8, size_of(args.dtype), {args.kv.head_stride, args.kv.token_stride},
                  {args.q, args.out, args.kv.k, args.kv.v});
}

bool is_hopper() {
  int device = 0, major = 0, minor = 0;
  HJ_CUDA_CHECK(cudaGetDevice(&device));
  HJ_CUDA_CHECK(cudaDeviceGetAttribute(&major, cudaDevAttrComputeCapabilityMajor, device));
  HJ_CUDA_CHECK(cudaDeviceGetAttribute(&minor, cudaDevAttrComputeCapabilityMinor, device));
  return major == 9 && minor == 0 && HJ_CUDA_SM90A;
}

WorkArgs work_args(const AttentionArgs& args) {
  WorkArgs work{};
  work.q = args.q;
  work.out = args.out;
  work.lse = args.lse;
  work.kv = args.kv;
  work.n_rows = args.n_rows;
  work.n_heads = static_cast<std::int32_t>(args.n_heads);
  work.n_kv_heads = static_cast<std::int32_t>(args.n_kv_heads);
  work.head_dim = static_cast<std::int32_t>(args.head_dim);
  work.scale = args.scale;
  work.stream_row = args.stream_row;
  work.own_length = args.own_length;
  return work;
}

}  // namespace

CudaKernels::CudaKernels(Device& device)
    : device_(device), processors_(count_processors()), has_hopper_(is_hopper()), linear_(device) {}

std::unique_ptr<PackedWeight> CudaKernels::pack(const void* weight, WeightLayout layout, std::int64_t out,
                                                std::int64_t in, std::int64_t, DType dtype) {
  return std::make_unique<CudaWeight>(device_, weight, layout, out, in, dtype);
}

void CudaKernels::linear(const void* x, const PackedWeight& weight, void* y, DType y_dtype, std::int64_t rows,
                         DType dtype, Stream& stream) {
  linear_.run(x, static_cast<const CudaWeight&>(weight), y, y_dtype, rows, dtype, stream);
}

std::unique_ptr<AttentionPlan> CudaKernels::plan_attention(const AttentionArgs& args, std::int32_t growth) {
  if (args.head_dim > most_head_dim) {
    throw RunError(
        fmt::format("head_dim {}: the CUDA kernels take {} at most", args.head_dim, most_head_dim));
  }
  const Processors processors{processors_, tiles_by_hopper(args) ? 1 : 2};
  return std::make_unique<CudaAttentionPlan>(divide_work(args, growth, processors), args.head_dim, device_);
}

// Tiles wait for products, the items of few rows for memory: at the same time they take little more than the
// longer of both alone.
void CudaKernels::attend_by_tensor_cores(const CudaAttentionPlan& work, const WorkArgs& args, bool by_hopper,
                                         cudaStream_t queue) const {
  const bool both = work.count(ItemKind::tile) > 0 && work.count(ItemKind::few) > 0;
  const cudaStream_t beside = both ? side_.fork(queue) : queue;
  (by_hopper ? attend_hopper : attend_tiles)(work.items(ItemKind::tile), work.count(ItemKind::tile), args,
                                             queue);
  attend_some(work.items(ItemKind::some), work.count(ItemKind::some), args, queue);
  attend_few(work.items(ItemKind::few), work.count(ItemKind::few), work.longest(ItemKind::few), args, beside);
  if (both) side_.join(queue);
}

bool CudaKernels::tiles_by_hopper(const AttentionArgs& args) const {
  return has_hopper_ && args.head_dim == hopper_head_dim;
}

void CudaKernels::attention(const AttentionPlan& plan, const AttentionArgs& args, Stream& stream) {
  const auto& work = static_cast<const CudaAttentionPlan&>(plan);
  WorkArgs work_arguments = work_args(args);
  work.complete(work_arguments, args.workspace);
  const cudaStream_t queue = cuda_stream(stream);
  const auto plain = [&](ItemKind kind) {
    attend_plain(work.items(kind), work.count(kind), work_arguments, args.dtype, queue);
  };
  plain(ItemKind::plain);
  if (is_aligned(args)) {
    attend_by_tensor_cores(work, work_arguments, tiles_by_hopper(args) && args.kv.tokens > 0, queue);
  } else {
    for (const ItemKind kind : {ItemKind::tile, ItemKind::some, ItemKind::few}) plain(kind);
  }
  if (!work.direct()) merge_parts(work_arguments, args.dtype, queue);
}

}  // namespace hydrajob::cuda
