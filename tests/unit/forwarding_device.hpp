// A device that does what the CPU's does: tests change what they look at.
#pragma once

#include <functional>
#include <map>
#include <memory>
#include <string>
#include <utility>

#include "device/device.hpp"

namespace hydrajob {

class ForwardingDevice : public Device {
 public:
  DeviceKind kind() const override { return device_->kind(); }
  std::string name() const override { return device_->name(); }
  std::size_t memory_available() const override { return device_->memory_available(); }
  std::size_t cache_bytes() const override { return device_->cache_bytes(); }
  std::size_t memory_held() const override { return device_->memory_held(); }
  std::unique_ptr<Buffer> allocate(std::size_t bytes) override { return device_->allocate(bytes); }
  Stream& stream() override { return device_->stream(); }
  void synchronize() override { device_->synchronize(); }
  void copy_to_device(void* target, const void* host, std::size_t bytes) override {
    device_->copy_to_device(target, host, bytes);
  }
  void copy_to_host(void* host, const void* source, std::size_t bytes) override {
    device_->copy_to_host(host, source, bytes);
  }
  void copy_on_device(void* target, const void* source, std::size_t bytes) override {
    device_->copy_on_device(target, source, bytes);
  }
  bool usable() override { return device_->usable(); }
  std::unique_ptr<Replay> record(std::function<void()> work) override {
    return device_->record(std::move(work));
  }
  std::unique_ptr<Mark> mark() override { return device_->mark(); }
  void wait_for(const Mark& mark) override { device_->wait_for(mark); }
  double seconds_between(const Mark& begin, const Mark& end) const override {
    return device_->seconds_between(begin, end);
  }
  std::map<std::string, std::string> describe() const override { return device_->describe(); }

 private:
  std::unique_ptr<Device> device_ = make_device({});
};

}  // namespace hydrajob
