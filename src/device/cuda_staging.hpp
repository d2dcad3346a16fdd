// What copies to a GPU beside the host: pinned memory, and queues of copies from it.
#pragma once

#include <cstddef>
#include <cuda_runtime_api.h>
#include <deque>
#include <memory>
#include <utility>

#include <fmt/format.h>

#include "base/error.hpp"
#include "base/units.hpp"
#include "device/cuda_error.hpp"
#include "device/cuda_stream.hpp"
#include "device/device.hpp"
#include "device/host_memory.hpp"

namespace hydrajob {

// Host memory that the GPU reads by itself. Made of large pages and then pinned, which takes a fraction of
// what cudaHostAlloc needs for small ones.
class PinnedMemory {
 public:
  explicit PinnedMemory(std::size_t bytes) : memory_(bytes) {
    const cudaError_t status = cudaHostRegister(memory_.data(), bytes, cudaHostRegisterDefault);
    if (status == cudaErrorMemoryAllocation) {
      cudaGetLastError();  // or the next call that asks would report it
      throw OutOfMemory(fmt::format("out of memory: the system refused to pin {}",
                                    format_bytes(static_cast<double>(bytes))));
    }
    check_cuda(status, "cudaHostRegister");
  }
  ~PinnedMemory() { cudaHostUnregister(memory_.data()); }
  PinnedMemory(const PinnedMemory&) = delete;
  PinnedMemory& operator=(const PinnedMemory&) = delete;

  void* data() { return memory_.data(); }
  std::size_t bytes() const { return memory_.bytes(); }

 private:
  HostMemory memory_;
};

// The pinned memory of the last use, for the next: pinning 80 MiB took 21 ms, where loading 13.5 GB took 280.
using IdlePinned = std::shared_ptr<std::unique_ptr<PinnedMemory>>;

class StagingBuffer final : public Buffer {
 public:
  StagingBuffer(std::size_t bytes, IdlePinned idle) : idle_(std::move(idle)), bytes_(bytes) {
    if (*idle_ && (*idle_)->bytes() >= bytes) memory_ = std::move(*idle_);
    if (memory_) return;
    idle_->reset();  // too small: not both at once
    memory_ = std::make_unique<PinnedMemory>(bytes);
  }
  ~StagingBuffer() override { *idle_ = std::move(memory_); }
  StagingBuffer(const StagingBuffer&) = delete;
  StagingBuffer& operator=(const StagingBuffer&) = delete;

  void* data() override { return memory_->data(); }
  std::size_t bytes() const override { return bytes_; }

 private:
  IdlePinned idle_;
  std::size_t bytes_;
  std::unique_ptr<PinnedMemory> memory_;
};

class CudaCopyQueue final : public CopyQueue {
 public:
  explicit CudaCopyQueue(int device) : device_(device) {}
  ~CudaCopyQueue() override {
    cudaStreamSynchronize(stream_.get());  // a device that is dead copies nothing; who uses it next is told
    for (const auto* events : {&in_flight_, &idle_}) {
      for (const cudaEvent_t event : *events) cudaEventDestroy(event);
    }
  }
  CudaCopyQueue(const CudaCopyQueue&) = delete;
  CudaCopyQueue& operator=(const CudaCopyQueue&) = delete;

  void copy(void* target, const void* host, std::size_t bytes) override {
    HJ_CUDA_CHECK(cudaSetDevice(device_));  // a thread begins with the first
    HJ_CUDA_CHECK(cudaMemcpyAsync(target, host, bytes, cudaMemcpyHostToDevice, stream_.get()));
    if (idle_.empty()) {
      cudaEvent_t event = nullptr;
      HJ_CUDA_CHECK(cudaEventCreateWithFlags(&event, cudaEventDisableTiming));
      idle_.push_back(event);
    }
    HJ_CUDA_CHECK(cudaEventRecord(idle_.back(), stream_.get()));
    in_flight_.push_back(idle_.back());
    idle_.pop_back();
  }
  void wait_for_all_but(std::size_t n) override {
    while (in_flight_.size() > n) {
      HJ_CUDA_CHECK(cudaEventSynchronize(in_flight_.front()));
      idle_.push_back(in_flight_.front());
      in_flight_.pop_front();
    }
  }

 private:
  int device_;
  CudaStream stream_;
  std::deque<cudaEvent_t> in_flight_, idle_;  // of the copies, behind each
};

}  // namespace hydrajob
