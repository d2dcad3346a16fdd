// The attention plan of a backend that divides the work in the call itself: the workspace's size.
#pragma once

#include "kernels/kernels.hpp"

namespace hydrajob {

class WorkspaceOnly final : public AttentionPlan {
 public:
  explicit WorkspaceOnly(std::size_t workspace_bytes) : workspace_bytes_(workspace_bytes) {}
  std::size_t workspace_bytes() const override { return workspace_bytes_; }
  std::size_t bytes() const override { return 0; }

 private:
  std::size_t workspace_bytes_;
};

}  // namespace hydrajob
