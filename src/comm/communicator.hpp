// What ranks do together: small control data and results of the host, and the collectives on device buffers
// inside the computation (MPI on CPUs; the seam for NCCL on GPUs).
#pragma once

#include <cstddef>
#include <cstdint>
#include <memory>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "base/dtype.hpp"
#include "device/device.hpp"

namespace hydrajob {

class Communicator {
 public:
  virtual ~Communicator() = default;

  virtual int rank() const = 0;
  virtual int size() const = 0;
  virtual void barrier() = 0;

  virtual void broadcast(void* data, std::size_t bytes, int root) = 0;
  virtual double all_reduce_max(double value) = 0;
  virtual double all_reduce_min(double value) = 0;
  virtual double all_reduce_sum(double value) = 0;
  // Ragged; part r is rank r's.
  virtual std::vector<std::string> all_gather(const std::string& bytes) = 0;
  // Ranks of one colour, ordered by rank. Collective.
  virtual std::unique_ptr<Communicator> split(int colour) = 0;
  // Ranks that share this rank's node. Collective.
  virtual std::unique_ptr<Communicator> split_node() = 0;

  // Point to point, for the scheduler. Any thread may call these.
  virtual void send(const std::string& bytes, int to, int tag) = 0;
  virtual std::string receive(int from, int tag) = 0;
  // The next message with this tag from anybody, if one has arrived: (its sender, its bytes).
  virtual std::optional<std::pair<int, std::string>> try_receive(int tag) = 0;

  // Sums over ranks of n elements, in the device's stream. Every rank gets the same bits.
  virtual void all_reduce_sum(void* data, std::int64_t n, DType dtype, Stream& stream) = 0;
  virtual void all_reduce_sum(std::uint64_t* data, std::int64_t n, Stream& stream) = 0;
  virtual void all_reduce_max(float* data, std::int64_t n, Stream& stream) = 0;
  // out: (size, bytes), rank r's part at r.
  virtual void all_gather(const void* in, void* out, std::size_t bytes, Stream& stream) = 0;

  // The type that partial sums of activations of `dtype` are best added up in.
  virtual DType sum_dtype(DType /*dtype*/) const { return DType::f32; }
  // Memory of every rank, `bytes` at least, that this rank's kernels read and write: element r is rank r's.
  // Zero at first; where a call asks for more than the last one did it is new, and the old one is gone. Empty
  // where ranks do not reach each other's memory. Collective.
  virtual std::vector<void*> peer_memory(std::size_t /*bytes*/) { return {}; }

  // Ends the whole job at once with this exit code: the last resort when ranks can no longer agree.
  [[noreturn]] virtual void abort(int exit_code) = 0;
};

// One rank, no MPI.
std::unique_ptr<Communicator> make_self_communicator();

// True when every rank says so. Collective.
inline bool all_true(Communicator& comm, bool mine) {
  return comm.all_reduce_min(mine ? 1.0 : 0.0) > 0.5;
}

// The first message in rank order of those ranks whose `error` is not empty; empty when none is. Collective.
// Ranks agree on a failure with this before the next collective, so that none waits for one that gave up.
std::string agree_on_error(Communicator& comm, const std::string& error);

}  // namespace hydrajob
