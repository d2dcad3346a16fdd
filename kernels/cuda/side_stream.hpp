// A second stream beside the kernels' own, for work that may run at the same time. Forks and joins are
// events, so that graphs hold them as branches.
#pragma once

#include <cuda_runtime_api.h>

#include "device/cuda_error.hpp"

namespace hydrajob::cuda {

class SideStream {
 public:
  SideStream() {
    HJ_CUDA_CHECK(cudaStreamCreateWithFlags(&stream_, cudaStreamNonBlocking));
    HJ_CUDA_CHECK(cudaEventCreateWithFlags(&forked_, cudaEventDisableTiming));
    HJ_CUDA_CHECK(cudaEventCreateWithFlags(&joined_, cudaEventDisableTiming));
  }
  ~SideStream() {
    cudaEventDestroy(joined_);
    cudaEventDestroy(forked_);
    cudaStreamDestroy(stream_);
  }
  SideStream(const SideStream&) = delete;
  SideStream& operator=(const SideStream&) = delete;

  // What is launched here from now on begins after what `main` holds.
  cudaStream_t fork(cudaStream_t main) const {
    HJ_CUDA_CHECK(cudaEventRecord(forked_, main));
    HJ_CUDA_CHECK(cudaStreamWaitEvent(stream_, forked_, 0));
    return stream_;
  }
  // What is launched into `main` from now on begins after what was launched here.
  void join(cudaStream_t main) const {
    HJ_CUDA_CHECK(cudaEventRecord(joined_, stream_));
    HJ_CUDA_CHECK(cudaStreamWaitEvent(main, joined_, 0));
  }

 private:
  cudaStream_t stream_ = nullptr;
  cudaEvent_t forked_ = nullptr, joined_ = nullptr;
};

}  // namespace hydrajob::cuda
