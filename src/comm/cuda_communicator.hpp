// A group whose device collectives are NCCL's; what the host does stays with the group's own communicator.
// Private to this module.
#pragma once

#include <condition_variable>
#include <limits>
#include <memory>
#include <mutex>
#include <nccl.h>
#include <string>
#include <thread>
#include <utility>
#include <vector>

#include "comm/communicator.hpp"

namespace hydrajob {

// "NCCL 2.28.9", of the library that is loaded.
std::string nccl_version();

class CudaCommunicator final : public Communicator {
 public:
  // `device`: this rank's GPU, current in this thread; it outlives this object. Throws RunError on every rank
  // when NCCL refuses one. Collective.
  CudaCommunicator(std::shared_ptr<Communicator> host, Device& device);
  ~CudaCommunicator() override;
  CudaCommunicator(const CudaCommunicator&) = delete;
  CudaCommunicator& operator=(const CudaCommunicator&) = delete;

  void all_reduce_sum(void* data, std::int64_t n, DType dtype, Stream& stream) override;
  void all_reduce_sum(std::uint64_t* data, std::int64_t n, Stream& stream) override;
  void all_reduce_max(float* data, std::int64_t n, Stream& stream) override;
  void all_gather(const void* in, void* out, std::size_t bytes, Stream& stream) override;

  // What travels between GPUs is as short as what they compute with.
  DType sum_dtype(DType dtype) const override { return dtype; }
  std::vector<void*> peer_memory(std::size_t bytes) override;

  int rank() const override { return host_->rank(); }
  int size() const override { return host_->size(); }
  void barrier() override { host_->barrier(); }
  void broadcast(void* data, std::size_t bytes, int root) override { host_->broadcast(data, bytes, root); }
  double all_reduce_max(double value) override { return host_->all_reduce_max(value); }
  double all_reduce_min(double value) override { return host_->all_reduce_min(value); }
  double all_reduce_sum(double value) override { return host_->all_reduce_sum(value); }
  std::vector<std::string> all_gather(const std::string& bytes) override { return host_->all_gather(bytes); }
  std::unique_ptr<Communicator> split(int colour) override { return host_->split(colour); }
  std::unique_ptr<Communicator> split_node() override { return host_->split_node(); }
  void send(const std::string& bytes, int to, int tag) override { host_->send(bytes, to, tag); }
  std::string receive(int from, int tag) override { return host_->receive(from, tag); }
  std::optional<std::pair<int, std::string>> try_receive(int tag) override { return host_->try_receive(tag); }
  [[noreturn]] void abort(int exit_code) override;

 private:
  void connect();
  void watch();
  void stop_watching();
  void share(std::size_t bytes);
  void unshare();

  std::shared_ptr<Communicator> host_;
  Device& device_;
  std::unique_ptr<Buffer> shared_;               // with the peers
  std::vector<std::unique_ptr<Buffer>> opened_;  // theirs; null: this rank's
  // So many were asked for in vain; fewer may be had.
  std::size_t refused_bytes_ = std::numeric_limits<std::size_t>::max();
  ncclComm_t nccl_ = nullptr;
  // NCCL finds a lost peer in the background and says so only when it is asked.
  std::thread watcher_;
  std::mutex mutex_;
  std::condition_variable done_;
  bool ends_ = false;
};

}  // namespace hydrajob
