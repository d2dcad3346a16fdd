// Host memory between the threads that read weights and the one that copies them to a device: a few slots
// that go round. Only that one thread calls the device.
#pragma once

#include <condition_variable>
#include <cstddef>
#include <deque>
#include <memory>
#include <mutex>
#include <vector>

#include "device/device.hpp"

namespace hydrajob {

class StagingRing {
 public:
  // Thrown in readers once the copying thread has stopped.
  struct Stopped {};

  // `staging`: what slots are cut from; it and the device outlive the ring. `readers`: that will begin.
  StagingRing(Device& device, Buffer& staging, std::size_t slot_bytes, int readers);

  std::size_t slot_bytes() const { return slot_bytes_; }

  // Of any reader: a slot that no copy reads any more. Waits for one.
  std::byte* take();
  // Of the reader that took it: the slot's first `bytes` go to `target`, on the device.
  void fill(std::byte* slot, void* target, std::size_t bytes);
  // Of each reader, once: it fills no more.
  void end_reader();

  // Of the copying thread: copies what is filled until all readers have ended. The last copies are in the
  // device's stream then.
  void copy_all();
  // Readers that wait give up, and those that come.
  void stop();

 private:
  struct Filled {
    std::byte* slot;
    void* target;
    std::size_t bytes;
  };
  struct InFlight {
    std::byte* slot;
    std::unique_ptr<Mark> copied;
  };
  // So many free ones are kept in stock where that needs no wait for the readers.
  static constexpr std::size_t stock = 2;
  bool short_of_slots() const { return free_.size() < stock && !in_flight_.empty(); }
  void copy(const Filled& filled);
  void free_oldest();

  Device& device_;
  std::size_t slot_bytes_;
  std::mutex mutex_;
  std::condition_variable for_readers_, for_copying_;
  std::vector<std::byte*> free_;  // under mutex_, as the next four
  std::deque<Filled> filled_;
  std::deque<InFlight> in_flight_;  // changed by the copying thread alone
  int readers_;
  bool stopped_ = false;
};

}  // namespace hydrajob
