// The CUDA backend's stream, for the kernels that are launched into it.
#pragma once

#include <cuda_runtime_api.h>

#include "device/cuda_error.hpp"
#include "device/device.hpp"

namespace hydrajob {

class CudaStream final : public Stream {
 public:
  CudaStream() { HJ_CUDA_CHECK(cudaStreamCreateWithFlags(&stream_, cudaStreamNonBlocking)); }
  ~CudaStream() override { cudaStreamDestroy(stream_); }
  CudaStream(const CudaStream&) = delete;
  CudaStream& operator=(const CudaStream&) = delete;
  cudaStream_t get() const { return stream_; }

 private:
  cudaStream_t stream_ = nullptr;
};

// The stream of a CudaDevice, which alone makes streams for this backend.
inline cudaStream_t cuda_stream(Stream& stream) {
  return static_cast<CudaStream&>(stream).get();
}

}  // namespace hydrajob
