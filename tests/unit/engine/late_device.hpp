// A device that copies beside the host, as late as it may: a copy is done when somebody waits for it.
#pragma once

#include <algorithm>
#include <atomic>
#include <cstddef>
#include <cstring>
#include <deque>
#include <memory>
#include <thread>

#include <gtest/gtest.h>

#include "base/error.hpp"
#include "unit/forwarding_device.hpp"

namespace hydrajob::test {

class LateDevice final : public ForwardingDevice {
 public:
  std::size_t staging_bytes = 0;             // of all staging memory that was asked for
  std::atomic<std::size_t> copies{0};        // asked for
  std::atomic<std::size_t> waiting{0};       // of these, not done
  std::atomic<std::size_t> most_waiting{0};  // of one queue, at once
  std::size_t copies_until_failure = SIZE_MAX;

  std::unique_ptr<Buffer> allocate_staging(std::size_t bytes) override {
    auto staging = allocate(bytes);
    staging_ = staging->as<std::byte>();
    staging_bytes += bytes;
    return staging;
  }
  std::unique_ptr<CopyQueue> copy_queue() override { return std::make_unique<Queue>(*this); }

 private:
  struct Copy {
    void* target;
    const void* host;
    std::size_t bytes;
  };

  class Queue final : public CopyQueue {
   public:
    explicit Queue(LateDevice& device) : device_(device) {}
    ~Queue() override { copy_all_but(0); }

    void copy(void* target, const void* host, std::size_t bytes) override {
      expect_one_thread();
      device_.expect_staging(host, bytes);
      if (device_.copies++ >= device_.copies_until_failure) throw RunError("the bus is broken");
      waiting_.push_back({target, host, bytes});
      ++device_.waiting;
      std::size_t most = device_.most_waiting;
      while (waiting_.size() > most && !device_.most_waiting.compare_exchange_weak(most, waiting_.size())) {
      }
    }
    void wait_for_all_but(std::size_t n) override {
      expect_one_thread();
      copy_all_but(n);
    }

   private:
    void copy_all_but(std::size_t n) {
      for (; waiting_.size() > n; waiting_.pop_front()) {
        const Copy& next = waiting_.front();
        std::memcpy(next.target, next.host, next.bytes);
        --device_.waiting;
      }
    }
    void expect_one_thread() {
      if (thread_ == std::thread::id()) thread_ = std::this_thread::get_id();
      EXPECT_EQ(std::this_thread::get_id(), thread_) << "two threads share a queue";
    }

    LateDevice& device_;
    std::thread::id thread_;
    std::deque<Copy> waiting_;
  };

  void expect_staging(const void* host, std::size_t bytes) const {
    const auto* from = static_cast<const std::byte*>(host);
    EXPECT_TRUE(from >= staging_ && from + bytes <= staging_ + staging_bytes) << "not of staging memory";
  }

  const std::byte* staging_ = nullptr;
};

}  // namespace hydrajob::test
