// A group's ranks, and their collectives on the memory of their devices.
#pragma once

#include <map>
#include <memory>
#include <string>

#include "comm/communicator.hpp"
#include "device/device.hpp"

namespace hydrajob {

class DeviceGroup {
 public:
  explicit DeviceGroup(std::unique_ptr<Communicator> host) : host_(std::move(host)) {}

  Communicator& host() const { return *host_; }

  // The group with collectives that take the device's memory: host() where that is the host's, NCCL between
  // GPUs, connected at the first call. `device`: this rank's, of the same kind on every rank; it outlives
  // this object. Throws RunError on every rank when one of them cannot. Collective.
  Communicator& on(Device& device);

 private:
  std::shared_ptr<Communicator> host_;
  std::map<DeviceKind, std::unique_ptr<Communicator>> on_device_;
};

// The library behind collectives between GPUs: "NCCL 2.28.9"; empty in a build without it.
std::string gpu_collectives_version();

}  // namespace hydrajob
