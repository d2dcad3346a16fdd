#include "kernels/cpu/cpu_kernels.hpp"

#include <algorithm>

#include <omp.h>

#include "base/error.hpp"
#include "kernels/cpu/attention.hpp"
#include "kernels/cpu/isa.hpp"
#include "kernels/cpu/onednn.hpp"
#include "kernels/cpu/onednn_state.hpp"

namespace hydrajob {
namespace cpu {

CpuKernels::CpuKernels(int threads) : threads_(std::max(threads, 1)), rows_(row_kernels(isa())) {
  limit_onednn(isa());
  omp_set_num_threads(threads_);
  onednn_ = std::make_unique<OneDnn>();
}

CpuKernels::~CpuKernels() = default;

std::size_t CpuKernels::attention_workspace(const AttentionArgs& args) const {
  return cpu::attention_workspace(args, threads_);
}

void CpuKernels::attention(const AttentionArgs& args, Stream&) {
  cpu::attention(args, threads_);
}

}  // namespace cpu

std::unique_ptr<Kernels> make_kernels(DeviceKind kind, int threads) {
  if (kind == DeviceKind::cuda) throw UsageError("device 'cuda': this build has no CUDA kernels");
  return std::make_unique<cpu::CpuKernels>(threads);
}

}  // namespace hydrajob
