// Matrix products through oneDNN, weights reordered once. bf16 and f16 are multiplied as they are where the
// processor and oneDNN have products of them, and as f32 elsewhere: oneDNN refuses bf16 below AVX-512, and
// its emulation on AVX-512 without them reached a third of the f32 rate.
#include <fmt/format.h>
#include <omp.h>

#include "kernels/cpu/cpu_kernels.hpp"
#include "kernels/cpu/onednn.hpp"
#include "kernels/cpu/onednn_state.hpp"
#include "kernels/cpu/parallel.hpp"

namespace hydrajob::cpu {
namespace {

// oneDNN asks OpenMP for the calling thread's number of threads.
void use_threads(int threads) {
  if (omp_get_max_threads() != threads) omp_set_num_threads(threads);
}

void multiply(OneDnn& onednn, const OneDnnWeight& weight, const void* x, void* y, std::int64_t rows,
              DType y_dtype, bool add = false) {
  Product& product = weight.product();
  const Product::Prepared& prepared = product.prepared(rows, y_dtype, add);
  const auto tensor = [&](const dnnl::memory::desc& desc, const void* data) {
    return dnnl::memory(desc, onednn.engine, const_cast<void*>(data));
  };
  prepared.matmul.execute(
      onednn.stream,
      {{DNNL_ARG_SRC, tensor(prepared.x, x)},
       {DNNL_ARG_WEIGHTS, tensor(product.weight_desc(), weight.data())},
       {DNNL_ARG_DST, tensor(prepared.y, y)},
       {DNNL_ARG_SCRATCHPAD,
        tensor(prepared.scratchpad, onednn.scratchpad.at_least(prepared.scratchpad.get_size()))}});
  onednn.stream.wait();
}

}  // namespace

std::map<std::string, std::string> CpuKernels::libraries() const {
  const dnnl_version_t& version = *dnnl_version();
  return {{"onednn", fmt::format("{}.{}.{}", version.major, version.minor, version.patch)}};
}

std::unique_ptr<PackedWeight> CpuKernels::pack(const void* weight, WeightLayout layout, std::int64_t out,
                                               std::int64_t in, std::int64_t expected_rows, DType dtype) {
  use_threads(threads_);
  const DType multiplied = multiplies(dtype) ? dtype : DType::f32;
  const auto product = onednn_->product({in, out, expected_rows, multiplied});
  HostMemory widened;
  if (multiplied != dtype) {
    widened = HostMemory(static_cast<std::size_t>(in * out) * sizeof(float));
    // In whichever layout: all elements.
    convert_to_f32(weight, dtype, static_cast<float*>(widened.data()), out, in);
    weight = widened.data();
  }
  return std::make_unique<OneDnnWeight>(product, weight, layout, onednn_->engine, onednn_->stream);
}

void CpuKernels::linear(const void* x, const PackedWeight& weight, void* y, DType y_dtype, std::int64_t rows,
                        DType dtype, Stream&) {
  if (rows == 0) return;
  use_threads(threads_);
  const auto& packed = static_cast<const OneDnnWeight&>(weight);
  const DType multiplied = packed.product().shape().dtype;
  if (multiplied != dtype) x = widen(x, dtype, rows, packed.in());
  if (y_dtype == DType::f32 || y_dtype == multiplied) {
    multiply(*onednn_, packed, x, y, rows, y_dtype);
    return;
  }
  const std::size_t bytes = static_cast<std::size_t>(rows * packed.out()) * sizeof(float);
  auto* wide = static_cast<float*>(onednn_->y_as_f32.at_least(bytes));
  multiply(*onednn_, packed, x, wide, rows, DType::f32);
  convert_from_f32(wide, y, y_dtype, rows, packed.out());
}

void CpuKernels::add_linear(const void* x, const PackedWeight& weight, float* y, std::int64_t rows,
                            DType dtype, Stream&) {
  if (rows == 0) return;
  use_threads(threads_);
  const auto& packed = static_cast<const OneDnnWeight&>(weight);
  if (packed.product().shape().dtype != dtype) x = widen(x, dtype, rows, packed.in());
  multiply(*onednn_, packed, x, y, rows, DType::f32, true);
}

const float* CpuKernels::widen(const void* x, DType dtype, std::int64_t rows, std::int64_t columns) const {
  const std::size_t bytes = static_cast<std::size_t>(rows * columns) * sizeof(float);
  auto* widened = static_cast<float*>(onednn_->x_as_f32.at_least(bytes));
  convert_to_f32(x, dtype, widened, rows, columns);
  return widened;
}

void CpuKernels::convert_to_f32(const void* source, DType dtype, float* target, std::int64_t rows,
                                std::int64_t columns) const {
  const std::size_t row_bytes = static_cast<std::size_t>(columns) * size_of(dtype);
  parallel_for(threads_, rows, [&](std::int64_t r) {
    const auto* row = static_cast<const std::byte*>(source) + static_cast<std::size_t>(r) * row_bytes;
    rows_.to_f32(row, dtype, target + r * columns, columns);
  });
}

void CpuKernels::convert_from_f32(const float* source, void* target, DType dtype, std::int64_t rows,
                                  std::int64_t columns) const {
  const std::size_t row_bytes = static_cast<std::size_t>(columns) * size_of(dtype);
  parallel_for(threads_, rows, [&](std::int64_t r) {
    auto* row = static_cast<std::byte*>(target) + static_cast<std::size_t>(r) * row_bytes;
    rows_.from_f32(source + r * columns, row, dtype, columns);
  });
}

}  // namespace hydrajob::cpu
