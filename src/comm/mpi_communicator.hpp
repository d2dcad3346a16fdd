// Communicator over MPI. Private to this module.
#pragma once

#include <memory>
#include <string>

#include <mpi.h>

#include "comm/communicator.hpp"

namespace hydrajob {

// Ends the job when an MPI call failed: prints this rank, the call and MPI's text, then aborts with exit
// code 75. Other ranks may be waiting inside the same call, so nobody could be told otherwise.
void check_mpi(int status, const char* call);
#define HJ_MPI(call) ::hydrajob::check_mpi((call), #call)

class MpiCommunicator final : public Communicator {
 public:
  enum class Ownership { borrowed, owned };

  // Sets MPI_ERRORS_RETURN on it. Owned: freed with this object.
  MpiCommunicator(MPI_Comm comm, Ownership ownership);
  ~MpiCommunicator() override;
  MpiCommunicator(const MpiCommunicator&) = delete;
  MpiCommunicator& operator=(const MpiCommunicator&) = delete;

  int rank() const override { return rank_; }
  int size() const override { return size_; }
  void barrier() override;

  void broadcast(void* data, std::size_t bytes, int root) override;
  double all_reduce_max(double value) override { return reduce(value, MPI_MAX); }
  double all_reduce_min(double value) override { return reduce(value, MPI_MIN); }
  double all_reduce_sum(double value) override { return reduce(value, MPI_SUM); }
  std::vector<std::string> all_gather(const std::string& bytes) override;
  std::unique_ptr<Communicator> split(int colour) override;
  std::unique_ptr<Communicator> split_node() override;

  void send(const std::string& bytes, int to, int tag) override;
  std::string receive(int from, int tag) override;
  std::optional<std::pair<int, std::string>> try_receive(int tag) override;

  void all_reduce_sum(void* data, std::int64_t n, DType dtype, Stream& stream) override;
  void all_reduce_sum(std::uint64_t* data, std::int64_t n, Stream& stream) override;
  void all_reduce_max(float* data, std::int64_t n, Stream& stream) override;
  void all_gather(const void* in, void* out, std::size_t bytes, Stream& stream) override;

  [[noreturn]] void abort(int exit_code) override;

 private:
  double reduce(double value, MPI_Op op);
  void reduce_chunks(void* data, std::int64_t n, std::size_t element_bytes, MPI_Datatype type, MPI_Op op);
  std::vector<std::int64_t> all_sizes(std::size_t mine);

  MPI_Comm comm_;
  Ownership ownership_;
  int rank_ = 0;
  int size_ = 1;
};

// The operation that sums bf16 or f16 (as MPI_UINT16_T): made on first use, freed when MPI is finalised.
MPI_Op sum_op_of_short_floats(DType dtype);

}  // namespace hydrajob
