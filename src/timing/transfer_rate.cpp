#include "timing/transfer_rate.hpp"

#include <algorithm>
#include <cstring>
#include <exception>
#include <memory>
#include <string>

#include "base/error.hpp"

namespace hydrajob {
namespace {

constexpr std::size_t copy_bytes = std::size_t{64} << 20;

struct Ends {
  std::unique_ptr<Buffer> staging, target;
};

// A rank that cannot have the memory tells the others before they wait for it.
Ends allocate_together(Device& device, Communicator& comm) {
  Ends ends;
  std::string error;
  try {
    ends.staging = device.allocate_staging(copy_bytes);
    ends.target = device.allocate(copy_bytes);
    if (ends.staging) std::memset(ends.staging->data(), 1, copy_bytes);
  } catch (const std::exception& e) {
    error = e.what();
  }
  error = agree_on_error(comm, error);
  if (!error.empty()) throw RunError("measuring copies to the device: " + error);
  return ends;
}

}  // namespace

std::optional<double> host_to_device_bytes_per_s(Device& device, Communicator& comm) {
  constexpr int copies = 8, repetitions = 5;
  const Ends ends = allocate_together(device, comm);
  if (!all_true(comm, ends.staging != nullptr)) return std::nullopt;
  double best = 0;
  for (int i = 0; i <= repetitions; ++i) {
    comm.barrier();
    const auto begin = device.mark();
    for (int j = 0; j < copies; ++j)
      device.copy_to_device(ends.target->data(), ends.staging->data(), copy_bytes);
    const auto end = device.mark();
    device.synchronize();
    const double rate = copies * static_cast<double>(copy_bytes) / device.seconds_between(*begin, *end);
    if (i > 0) best = std::max(best, rate);  // the first wakes the bus
  }
  return best;
}

}  // namespace hydrajob
