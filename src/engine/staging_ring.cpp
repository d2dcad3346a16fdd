#include "engine/staging_ring.hpp"

#include <utility>

namespace hydrajob {

StagingRing::StagingRing(Device& device, Buffer& staging, std::size_t slot_bytes, int readers)
    : device_(device), slot_bytes_(slot_bytes), readers_(readers) {
  for (std::size_t at = 0; at + slot_bytes <= staging.bytes(); at += slot_bytes)
    free_.push_back(staging.as<std::byte>() + at);
}

// The one that was given back last: it is the likeliest to be in a cache.
std::byte* StagingRing::take() {
  std::unique_lock lock(mutex_);
  for_readers_.wait(lock, [&] { return stopped_ || !free_.empty(); });
  if (stopped_) throw Stopped{};
  std::byte* slot = free_.back();
  free_.pop_back();
  if (short_of_slots()) for_copying_.notify_one();
  return slot;
}

void StagingRing::fill(std::byte* slot, void* target, std::size_t bytes) {
  {
    const std::lock_guard lock(mutex_);
    filled_.push_back({slot, target, bytes});
  }
  for_copying_.notify_one();
}

void StagingRing::end_reader() {
  {
    const std::lock_guard lock(mutex_);
    --readers_;
  }
  for_copying_.notify_one();
}

void StagingRing::stop() {
  {
    const std::lock_guard lock(mutex_);
    stopped_ = true;
  }
  for_readers_.notify_all();
}

// Copies come first, so that the bus has its next when it ends one. While slots are in stock nothing waits
// for copies: where the bus is the faster side they are long done when their slots are wanted.
void StagingRing::copy_all() {
  std::unique_lock lock(mutex_);
  for (;;) {
    for_copying_.wait(lock, [&] { return !filled_.empty() || short_of_slots() || readers_ == 0; });
    if (!filled_.empty()) {
      const Filled filled = filled_.front();
      filled_.pop_front();
      lock.unlock();
      copy(filled);
      lock.lock();
    } else if (readers_ == 0) {
      return;
    } else {
      lock.unlock();
      free_oldest();
      lock.lock();
    }
  }
}

void StagingRing::copy(const Filled& filled) {
  device_.copy_to_device(filled.target, filled.slot, filled.bytes);
  auto copied = device_.mark();
  const std::lock_guard lock(mutex_);
  in_flight_.push_back({filled.slot, std::move(copied)});
}

void StagingRing::free_oldest() {
  device_.wait_for(*in_flight_.front().copied);
  {
    const std::lock_guard lock(mutex_);
    free_.push_back(in_flight_.front().slot);
    in_flight_.pop_front();
  }
  for_readers_.notify_one();
}

}  // namespace hydrajob
