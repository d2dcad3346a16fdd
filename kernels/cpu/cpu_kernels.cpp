#include "kernels/cpu/cpu_kernels.hpp"

#include <algorithm>

#include <omp.h>

#include "kernels/cpu/attention.hpp"
#include "kernels/cpu/isa.hpp"
#include "kernels/cpu/onednn.hpp"
#include "kernels/cpu/onednn_state.hpp"
#include "kernels/workspace_only.hpp"

namespace hydrajob {
namespace cpu {

CpuKernels::CpuKernels(int threads) : threads_(std::max(threads, 1)), rows_(row_kernels(isa())) {
  limit_onednn(isa());
  omp_set_num_threads(threads_);
  onednn_ = std::make_unique<OneDnn>();
}

CpuKernels::~CpuKernels() = default;

// The work is divided anew by every call, for the lengths that stand there then.
std::unique_ptr<AttentionPlan> CpuKernels::plan_attention(const AttentionArgs& args, std::int32_t growth) {
  std::vector<std::int32_t> last(args.own_length, args.own_length + args.n_streams);
  for (std::int32_t& length : last) length += growth;
  AttentionArgs grown = args;
  grown.own_length = last.data();
  return std::make_unique<WorkspaceOnly>(
      std::max(cpu::attention_workspace(args, threads_), cpu::attention_workspace(grown, threads_)));
}

void CpuKernels::attention(const AttentionPlan&, const AttentionArgs& args, Stream&) {
  cpu::attention(args, threads_);
}

}  // namespace cpu

std::unique_ptr<Kernels> make_cpu_kernels(int threads) {
  return std::make_unique<cpu::CpuKernels>(threads);
}

}  // namespace hydrajob
