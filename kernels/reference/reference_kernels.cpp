#include "kernels/reference/reference_kernels.hpp"

#include "kernels/reference/attention.hpp"
#include "kernels/workspace_only.hpp"

namespace hydrajob {
namespace reference {

std::unique_ptr<AttentionPlan> ReferenceKernels::plan_attention(const AttentionArgs&, std::int32_t) {
  return std::make_unique<WorkspaceOnly>(0);
}

void ReferenceKernels::attention(const AttentionPlan&, const AttentionArgs& args, Stream&) {
  reference::attention(args);
}

}  // namespace reference

std::unique_ptr<Kernels> make_reference_kernels() {
  return std::make_unique<reference::ReferenceKernels>();
}

}  // namespace hydrajob
