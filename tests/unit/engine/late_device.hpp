// A device that copies beside the host, as late as it may: a copy is done when somebody waits for it.
#pragma once

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
  std::size_t staging_bytes = 0;  // of all staging memory that was asked for
  std::size_t copies = 0;         // asked for
  std::size_t most_waiting = 0;   // copies at once
  std::size_t copies_until_failure = SIZE_MAX;

  std::unique_ptr<Buffer> allocate_staging(std::size_t bytes) override {
    auto staging = allocate(bytes);
    staging_ = staging->as<std::byte>();
    staging_bytes += bytes;
    return staging;
  }
  void copy_to_device(void* target, const void* host, std::size_t bytes) override {
    expect_one_thread();
    const auto* from = static_cast<const std::byte*>(host);
    EXPECT_TRUE(from >= staging_ && from + bytes <= staging_ + staging_bytes) << "not of staging memory";
    if (copies == copies_until_failure) throw RunError("the bus is broken");
    ++copies;
    waiting_.push_back({target, host, bytes});
    most_waiting = std::max(most_waiting, waiting_.size());
  }
  std::unique_ptr<Mark> mark() override {
    expect_one_thread();
    return std::make_unique<Behind>(copies);
  }
  void wait_for(const Mark& mark) override {
    expect_one_thread();
    while (done_ < static_cast<const Behind&>(mark).copies) copy_next();
  }
  void synchronize() override {
    expect_one_thread();
    while (!waiting_.empty()) copy_next();
  }
  bool idle() const { return waiting_.empty(); }

 private:
  struct Behind final : Mark {
    explicit Behind(std::size_t n) : copies(n) {}
    std::size_t copies;
  };
  struct Copy {
    void* target;
    const void* host;
    std::size_t bytes;
  };

  void copy_next() {
    const Copy copy = waiting_.front();
    waiting_.pop_front();
    std::memcpy(copy.target, copy.host, copy.bytes);
    ++done_;
  }
  void expect_one_thread() const { EXPECT_EQ(std::this_thread::get_id(), thread_) << "a reader's"; }

  std::thread::id thread_ = std::this_thread::get_id();
  const std::byte* staging_ = nullptr;
  std::deque<Copy> waiting_;
  std::size_t done_ = 0;
};

}  // namespace hydrajob::test
