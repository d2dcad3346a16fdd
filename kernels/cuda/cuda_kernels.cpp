#include "kernels/cuda/cuda_kernels.hpp"

#include <fmt/format.h>

#include "base/error.hpp"
#include "device/cuda_stream.hpp"
#include "kernels/cuda/attention_kernels.hpp"
#include "kernels/cuda/attention_plan.hpp"
#include "kernels/cuda/packs.hpp"

namespace hydrajob::cuda {
namespace {

int attribute(cudaDeviceAttr which) {
  int device = 0, value = 0;
  HJ_CUDA_CHECK(cudaGetDevice(&device));
  HJ_CUDA_CHECK(cudaDeviceGetAttribute(&value, which, device));
  return value;
}

// The tensor cores' kernels move 16 bytes at once.
bool is_aligned(const AttentionArgs& args) {
  return packs_of(8, size_of(args.dtype), {args.kv.head_stride, args.kv.token_stride},
                  {args.q, args.out, args.kv.k, args.kv.v});
}

bool is_hopper() {
  return attribute(cudaDevAttrComputeCapabilityMajor) == 9 &&
         attribute(cudaDevAttrComputeCapabilityMinor) == 0 && HJ_CUDA_SM90A;
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
  work.group = work.n_heads / work.n_kv_heads;
  work.group_inverse = inverse_of_group(static_cast<std::uint32_t>(work.group));
  work.scale = args.scale;
  work.stream_row = args.stream_row;
  work.own_length = args.own_length;
  return work;
}

}  // namespace

CudaKernels::CudaKernels(Device& device)
    : device_(device),
      processors_{attribute(cudaDevAttrMultiProcessorCount),
                  attribute(cudaDevAttrMaxSharedMemoryPerBlockOptin), false},
      has_hopper_(is_hopper()),
      linear_(device) {}

std::map<std::string, std::string> CudaKernels::libraries() const {
  const std::size_t version = cublasLtGetVersion();  // 130002 is 13.0.2
  return {{"cublas", fmt::format("{}.{}.{}", version / 10000, version / 100 % 100, version % 100)}};
}

std::unique_ptr<PackedWeight> CudaKernels::pack(const void* weight, WeightLayout layout, std::int64_t out,
                                                std::int64_t in, std::int64_t, DType dtype) {
  return std::make_unique<CudaWeight>(device_, weight, layout, out, in, dtype);
}

UnfilledWeight CudaKernels::allocate_weight(WeightLayout layout, std::int64_t out, std::int64_t in,
                                            DType dtype) {
  auto weight = std::make_unique<CudaWeight>(device_, layout, out, in, dtype);
  void* data = weight->data();
  return {std::move(weight), data};
}

std::unique_ptr<PackedWeight> CudaKernels::pack_seeded(std::span<const SeededPart> parts, WeightLayout layout,
                                                       std::int64_t out, std::int64_t in, std::int64_t,
                                                       DType dtype) {
  auto weight = std::make_unique<CudaWeight>(device_, layout, out, in, dtype);
  auto* target = static_cast<std::byte*>(weight->data());
  for (const SeededPart& part : parts) {
    fill_seeded(part, target, dtype, device_.stream());
    target += static_cast<std::size_t>(part.count) * size_of(dtype);
  }
  return weight;
}

void CudaKernels::linear(const void* x, const PackedWeight& weight, void* y, DType y_dtype, std::int64_t rows,
                         DType dtype, Stream& stream) {
  linear_.run(x, static_cast<const CudaWeight&>(weight), y, y_dtype, rows, dtype, stream);
}

void CudaKernels::add_linear(const void* x, const PackedWeight& weight, float* y, std::int64_t rows,
                             DType dtype, Stream& stream) {
  linear_.add(x, static_cast<const CudaWeight&>(weight), y, rows, dtype, stream);
}

void CudaKernels::tune_linear(const void* x, std::span<const PackedWeight* const> weights, void* y,
                              DType y_dtype, std::int64_t rows, DType dtype, Stream& stream) {
  linear_.tune(x, weights, y, y_dtype, rows, dtype, stream);
}

std::unique_ptr<AttentionPlan> CudaKernels::plan_attention(const AttentionArgs& args, std::int32_t growth) {
  if (args.head_dim > most_head_dim) {
    throw RunError(
        fmt::format("head_dim {}: the CUDA kernels take {} at most", args.head_dim, most_head_dim));
  }
  Processors processors = processors_;
  processors.mixed = tiles_by_hopper(args);
  return std::make_unique<CudaAttentionPlan>(divide_work(args, growth, processors), args.head_dim, device_);
}

void CudaKernels::attend_by_tensor_cores(const CudaAttentionPlan& work, const WorkArgs& args, DType dtype,
                                         bool by_hopper, cudaStream_t queue) const {
  const WorkItem *tiles = work.items(ItemKind::tile), *few = work.items(ItemKind::few);
  const std::int64_t n_tiles = work.count(ItemKind::tile), n_few = work.count(ItemKind::few);
  attend_some(work.items(ItemKind::some), work.count(ItemKind::some), args, dtype, queue);
  if (by_hopper && n_tiles > 0) {
    attend_hopper(tiles, n_tiles, work.tile_groups(), few, n_few, work.reading_first(), processors_,
                  work.queue(), args, dtype, queue);
  } else {
    attend_tiles(tiles, n_tiles, args, dtype, queue);
    attend_few(few, n_few, processors_, args, dtype, queue);
  }
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
    attend_by_tensor_cores(work, work_arguments, args.dtype, tiles_by_hopper(args) && args.kv.tokens > 0,
                           queue);
  } else {
    for (const ItemKind kind : {ItemKind::tile, ItemKind::some, ItemKind::few}) plain(kind);
  }
  if (!work.direct()) merge_parts(work_arguments, work.most_parts(), processors_, args.dtype, queue);
}

}  // namespace hydrajob::cuda
