#include "device/cpu_device.hpp"

#include <algorithm>
#include <chrono>
#include <cstring>
#include <functional>
#include <limits>
#include <utility>

#include "base/units.hpp"
#include "device/available_memory.hpp"
#include "device/cpu_info.hpp"
#include "device/host_memory.hpp"

namespace hydrajob {
namespace {

using Clock = std::chrono::steady_clock;

class CpuStream final : public Stream {};

class CpuMark final : public Mark {
 public:
  Clock::time_point time = Clock::now();
};

class CpuBuffer final : public Buffer {
 public:
  explicit CpuBuffer(std::size_t bytes) : memory_(bytes) {}
  void* data() override { return memory_.data(); }
  std::size_t bytes() const override { return memory_.bytes(); }

 private:
  HostMemory memory_;
};

// What this process may hold in all: its share of what is available now, on top of what it has already.
std::size_t share_of(const DeviceRequest& request) {
  const std::size_t available = available_memory();
  constexpr std::size_t unlimited = std::numeric_limits<std::size_t>::max();
  const std::size_t share =
      available == unlimited ? unlimited
                             : host_memory_used() + available / static_cast<std::size_t>(request.local_size);
  return request.memory_cap == 0 ? share : std::min(share, request.memory_cap);
}

class CpuReplay final : public Replay {
 public:
  explicit CpuReplay(std::function<void()> work) : work_(std::move(work)) {}
  void launch() override { work_(); }

 private:
  std::function<void()> work_;
};

class CpuDevice final : public Device {
 public:
  explicit CpuDevice(const DeviceRequest& request)
      : threads_(std::max(request.threads, 1)), memory_(share_of(request)) {
    set_host_memory_limit(memory_);
  }

  DeviceKind kind() const override { return DeviceKind::cpu; }
  std::string name() const override { return "cpu"; }
  std::size_t memory_available() const override { return memory_; }
  std::size_t cache_bytes() const override { return last_level_cache_bytes(); }
  std::size_t memory_held() const override { return host_memory_used(); }
  std::unique_ptr<Buffer> allocate(std::size_t bytes) override { return std::make_unique<CpuBuffer>(bytes); }

  Stream& stream() override { return stream_; }
  void synchronize() override {}

  void copy_to_device(void* target, const void* host, std::size_t bytes) override {
    copy(target, host, bytes);
  }
  void copy_to_host(void* host, const void* source, std::size_t bytes) override { copy(host, source, bytes); }
  void copy_on_device(void* target, const void* source, std::size_t bytes) override {
    copy(target, source, bytes);
  }
  void copy_pieces_on_device(void* target, const void* source, std::size_t bytes, std::size_t pieces,
                             std::size_t stride) override;

  std::unique_ptr<Replay> record(std::function<void()> work) override {
    return std::make_unique<CpuReplay>(std::move(work));
  }

  bool usable() override { return true; }

  std::unique_ptr<Mark> mark() override { return std::make_unique<CpuMark>(); }
  void wait_for(const Mark&) override {}
  double seconds_between(const Mark& begin, const Mark& end) const override {
    const auto& from = static_cast<const CpuMark&>(begin);
    const auto& to = static_cast<const CpuMark&>(end);
    return std::chrono::duration<double>(to.time - from.time).count();
  }

  std::map<std::string, std::string> describe() const override {
    auto facts = describe_cpu();
    facts["threads"] = std::to_string(threads_);
    facts["memory_of_rank"] = format_bytes(static_cast<double>(memory_));
    return facts;
  }

 private:
  void copy(void* target, const void* source, std::size_t bytes) const;

  int threads_;
  std::size_t memory_;
  CpuStream stream_;
};

// One core cannot draw the whole bandwidth of the memory: large copies are shared out.
constexpr std::size_t worth_sharing = std::size_t{1} << 20;

void CpuDevice::copy(void* target, const void* source, std::size_t bytes) const {
  constexpr std::size_t page = 4096;
  if (bytes < worth_sharing || threads_ == 1) {
    if (bytes > 0) std::memcpy(target, source, bytes);
    return;
  }
  const std::size_t pages = (bytes + page - 1) / page;
  const auto parts = static_cast<std::size_t>(threads_);
#pragma omp parallel for num_threads(threads_) schedule(static, 1)
  for (std::size_t part = 0; part < parts; ++part) {
    const std::size_t begin = std::min(bytes, pages * part / parts * page);
    const std::size_t end = std::min(bytes, pages * (part + 1) / parts * page);
    std::memcpy(static_cast<std::byte*>(target) + begin, static_cast<const std::byte*>(source) + begin,
                end - begin);
  }
}

void CpuDevice::copy_pieces_on_device(void* target, const void* source, std::size_t bytes, std::size_t pieces,
                                      std::size_t stride) {
  if (bytes >= worth_sharing) return Device::copy_pieces_on_device(target, source, bytes, pieces, stride);
#pragma omp parallel for num_threads(threads_) schedule(static) if (pieces * bytes >= worth_sharing)
  for (std::size_t i = 0; i < pieces; ++i) {
    std::memcpy(static_cast<std::byte*>(target) + i * stride,
                static_cast<const std::byte*>(source) + i * stride, bytes);
  }
}

}  // namespace

std::unique_ptr<Device> make_cpu_device(const DeviceRequest& request) {
  return std::make_unique<CpuDevice>(request);
}

}  // namespace hydrajob
