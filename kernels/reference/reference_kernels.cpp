#include "kernels/reference/reference_kernels.hpp"

#include "kernels/reference/attention.hpp"

namespace hydrajob {
namespace reference {

std::size_t ReferenceKernels::attention_workspace(const AttentionArgs&) const {
  return 0;
}

void ReferenceKernels::attention(const AttentionArgs& args, Stream&) {
  reference::attention(args);
}

}  // namespace reference

std::unique_ptr<Kernels> make_reference_kernels() {
  return std::make_unique<reference::ReferenceKernels>();
}

}  // namespace hydrajob
