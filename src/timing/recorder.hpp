// Samples of the phases of a run: marks in the device's stream, resolved after the device has finished,
// gathered from all ranks of the group.
#pragma once

#include <cstdint>
#include <memory>
#include <string>
#include <vector>

#include "comm/communicator.hpp"
#include "device/device.hpp"

namespace hydrajob {

struct PhaseSample {
  std::string phase;
  std::int32_t iteration = 0;
  std::int32_t step = 0;
  bool warmup = false;
  std::int32_t rank = 0;
  double seconds = 0;
  DeviceCondition condition = {};  // of the rank's device, read once an iteration; empty where it was not
};

class Recorder {
 public:
  Recorder(Device& device, Communicator& group);

  // One interval; intervals may nest. Returns a handle for end(). No synchronisation.
  std::size_t begin(const std::string& phase, std::int32_t iteration, std::int32_t step, bool warmup);
  void end(std::size_t interval);

  // Reads the device's condition once for all intervals from `first` on, which are the work of one iteration,
  // all of it launched. Read when the device has come to the middle one: with half of the work before it the
  // device is under load, and with half behind it the host is still ahead when it launches what comes next.
  // On a device that does not tell nothing happens.
  void observe(std::size_t first);

  // Waits for the device, resolves this rank's intervals, gathers every rank's. The same on all ranks.
  // Collective. The recorder is empty afterwards.
  std::vector<PhaseSample> collect();

 private:
  struct Interval {
    PhaseSample sample;
    std::unique_ptr<Mark> begin;
    std::unique_ptr<Mark> end;
  };
  Device& device_;
  Communicator& group_;
  std::vector<Interval> intervals_;
};

// Per (iteration, step): the maximum over ranks, in order. Of one phase, warm-up left out or only it.
std::vector<double> slowest_rank(const std::vector<PhaseSample>& samples, const std::string& phase,
                                 bool warmup);

}  // namespace hydrajob
