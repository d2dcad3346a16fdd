// What this rank computes with, and what it can do.
#pragma once

#include <functional>
#include <map>
#include <memory>
#include <set>
#include <string>
#include <vector>

#include "base/dtype.hpp"
#include "comm/communicator.hpp"
#include "config/experiment.hpp"
#include "device/device.hpp"
#include "grid/cost_model.hpp"
#include "grid/plan.hpp"
#include "kernels/kernels.hpp"

namespace hydrajob {

struct MachineRequest {
  int threads = 0;          // CPU threads of a rank; 0: the rank's share of its node's cores
  int ranks_per_node = 0;   // to plan for other ranks than these (dry run); 0: as they are
  bool share_gpus = false;  // ranks may be on one GPU
};

// What runs of one device are computed with.
struct Processor {
  std::unique_ptr<Device> device;
  std::unique_ptr<Kernels> kernels;
};

// The devices that this process sees, the best first.
std::vector<std::string> visible_devices();

class Machine {
 public:
  // Takes the devices that the experiment names and this node has. Throws AgreedError. Collective.
  Machine(Communicator& world, const Experiment& experiment, const MachineRequest& request);
  // The same of one device; "auto": the best that every rank has.
  Machine(Communicator& world, const std::string& device, const MachineRequest& request);

  // Of a run's device, which the experiment names and this machine has.
  bool has(const std::string& device) const { return processors_.count(device) > 0; }
  const Processor& processor(const std::string& device) const { return processors_.at(device); }
  int threads() const { return threads_; }
  int ranks_per_node() const { return ranks_per_node_; }
  const std::vector<std::string>& devices() const { return devices_; }  // that there are, the best first
  // The one device of a machine made for one; empty where it does not have it.
  std::string device() const { return processors_.empty() ? "" : processors_.begin()->first; }

  // What every rank can count on, for each device and element type that the experiment names and this machine
  // has. Measures for about half a second each, all ranks at once. Collective.
  CeilingsByDevice ceilings(Communicator& world, const Experiment& experiment) const;

  // Takes what the largest of the plan's runs needs on each device, once for all of them: between runs
  // nothing is asked of the driver then. Where a device has not so much left, each run takes its own. Before
  // the first run.
  void reserve(const Plan& plan) const;

 private:
  // Of the best device that there is, what is to be taken.
  using Named = std::function<std::set<std::string>(const std::string& best)>;
  Machine(Communicator& world, const Named& named_of, const MachineRequest& request);

  void add(Communicator& world, const std::string& name, const DeviceRequest& request);
  void expect_own_gpus(Communicator& world, Communicator& node) const;

  std::map<std::string, Processor> processors_;
  int threads_ = 1;
  int ranks_per_node_ = 1;
  std::vector<std::string> devices_;
};

}  // namespace hydrajob
