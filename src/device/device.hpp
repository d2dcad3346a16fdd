// The processor that a rank computes on: its memory, its queue of work, its clock. One implementation a
// backend; everything above sees this only. The CPU executes at once, so its stream has nothing to hold.
#pragma once

#include <cstddef>
#include <cstdint>
#include <functional>
#include <map>
#include <memory>
#include <optional>
#include <string>

namespace hydrajob {

// An ordered queue of work. Opaque: the CUDA backend's holds a cudaStream_t.
class Stream {
 public:
  virtual ~Stream() = default;
};

// Copies to a device in an order of their own, for one thread beside others that copy by theirs: the bus has
// the next at hand, whoever's it is, when one ends. Where it ends it waits for all of them.
class CopyQueue {
 public:
  virtual ~CopyQueue() = default;
  // Begins it. `host` is staging memory, in use until the copy is done.
  virtual void copy(void* target, const void* host, std::size_t bytes) = 0;
  // Waits until all copies are done, but the last `n` that were begun.
  virtual void wait_for_all_but(std::size_t n) = 0;
};

// A point in a stream's time.
class Mark {
 public:
  virtual ~Mark() = default;
};

// Device memory, freed with the object. Work that was launched may still use it: who gets it next, does so in
// the same stream.
class Buffer {
 public:
  virtual ~Buffer() = default;
  virtual void* data() = 0;
  virtual std::size_t bytes() const = 0;

  template <class T>
  T* as() {
    return static_cast<T*>(data());
  }
};

enum class DeviceKind { cpu, cuda };

// How fast a device may run at the moment, as far as it tells.
struct DeviceCondition {
  std::optional<double> sm_clock_mhz;             // of the multiprocessors
  std::optional<std::uint64_t> throttle_reasons;  // NVML's bits (docs/store.md); 0: nothing holds it down
  std::optional<double> power_w;  // of the whole board; newer GPUs tell the last second's mean
};

// Work of a device that was recorded once, to be launched often.
class Replay {
 public:
  virtual ~Replay() = default;
  virtual void launch() = 0;  // into the device's stream
};

class Device {
 public:
  virtual ~Device() = default;

  virtual DeviceKind kind() const = 0;
  virtual std::string name() const = 0;  // "cpu", "cuda:0"
  // Bytes that runs of this rank may use: on a CPU the available memory divided by the ranks of the node.
  virtual std::size_t memory_available() const = 0;

  // Of the last-level caches within its reach, together; 0 where that is not known.
  virtual std::size_t cache_bytes() const = 0;

  // Takes from the driver at once what buffers will need, `bytes` in all, those that there are included:
  // until then each takes its own, which costs time and may find the memory gone. False where that cannot be
  // had. Where buffers stand in what was reserved before, that stays as it is. The CPU's system has nothing
  // to reserve.
  virtual bool reserve(std::size_t /*bytes*/) { return true; }
  // Bytes of all buffers that there are.
  virtual std::size_t memory_held() const = 0;
  // Bytes of the device's memory that are in use by whomever and for whatever, as its driver tells; nothing
  // where there is none to ask.
  virtual std::optional<std::size_t> memory_in_use() const { return std::nullopt; }

  // 4096-byte aligned, uninitialised. What was reserved comes first. Throws OutOfMemory with the size asked
  // for.
  virtual std::unique_ptr<Buffer> allocate(std::size_t bytes) = 0;

  // Memory that other processes of this node can open, in a block of its own; as allocate() else. Null: this
  // backend has none, or not with these GPUs.
  virtual std::unique_ptr<Buffer> allocate_for_peers(std::size_t /*bytes*/) { return nullptr; }
  // What another process opens it with.
  virtual std::string peer_handle(Buffer& /*buffer*/) { return {}; }
  // The memory of another process behind its handle, as this device reaches it. Throws RunError where it does
  // not. It is closed before its owner frees it.
  virtual std::unique_ptr<Buffer> open_peer(const std::string& /*handle*/, std::size_t /*bytes*/) {
    return nullptr;
  }

  // Host memory from which copies to the device run beside the host, at the full rate of the bus; 4096-byte
  // aligned. Null: copies are as fast from any memory, and done when they return. Throws OutOfMemory.
  virtual std::unique_ptr<Buffer> allocate_staging(std::size_t /*bytes*/) { return nullptr; }
  // Null where there is no staging memory. What the device's stream has launched before is not waited for.
  virtual std::unique_ptr<CopyQueue> copy_queue() { return nullptr; }

  virtual Stream& stream() = 0;
  virtual void synchronize() = 0;

  // Asynchronous in the stream where the backend can; the CPU copies at once.
  virtual void copy_to_device(void* target, const void* host, std::size_t bytes) = 0;
  virtual void copy_to_host(void* host, const void* source, std::size_t bytes) = 0;
  virtual void copy_on_device(void* target, const void* source, std::size_t bytes) = 0;
  // Many pieces of `bytes` each, `stride` bytes from one to the next in both. A backend that is faster at all
  // of them together says how.
  virtual void copy_pieces_on_device(void* target, const void* source, std::size_t bytes, std::size_t pieces,
                                     std::size_t stride) {
    for (std::size_t i = 0; i < pieces; ++i) {
      copy_on_device(static_cast<std::byte*>(target) + i * stride,
                     static_cast<const std::byte*>(source) + i * stride, bytes);
    }
  }

  // `work` launches into this device's stream only, neither waits nor allocates, and reads what changes from
  // device memory. A GPU runs it once and then keeps it as a graph; the CPU calls it at every launch. What it
  // refers to outlives the result.
  virtual std::unique_ptr<Replay> record(std::function<void()> work) = 0;

  // False once nothing more can be computed in this process: a GPU's context is dead after an illegal
  // address, an uncorrectable memory error, or when the GPU fell off the bus.
  virtual bool usable() = 0;

  virtual std::unique_ptr<Mark> mark() = 0;
  // Waits until the stream has come to the mark.
  virtual void wait_for(const Mark& mark) = 0;
  // Seconds between two marks of this device, after synchronize().
  virtual double seconds_between(const Mark& begin, const Mark& end) const = 0;

  // Waits until the stream has come to `mark`, then reads: so that what was launched behind it is running.
  // Nothing, and no wait, where the device does not tell. The host is held up, never the stream; but work
  // that is launched later for it may find the stream empty.
  virtual std::optional<DeviceCondition> condition_after(const Mark& mark) {
    static_cast<void>(mark);
    return std::nullopt;
  }

  // Provenance: "cpu_model", "cores", "isa", or the GPU's name, UUID, driver …
  virtual std::map<std::string, std::string> describe() const = 0;
};

struct DeviceRequest {
  DeviceKind kind = DeviceKind::cpu;
  int local_rank = 0;          // within the node
  int local_size = 1;          // ranks on the node
  int threads = 1;             // CPU threads of this rank
  bool share_gpus = false;     // several ranks may have the same, each a part of its memory
  std::size_t memory_cap = 0;  // bytes that this rank may hold at most; 0: its share of what is available
};

// How many GPUs this process sees; 0 without a driver, or in a build without a GPU backend.
int visible_gpus();

// Why there is none: of this build, or of the driver; empty where there is one.
std::string why_no_gpu();

// The one place that knows which backends were compiled in. Throws UsageError for one that was not.
std::unique_ptr<Device> make_device(const DeviceRequest& request);

// Binds the calling thread, and those that it starts from now on, to the CPUs on the side of the machine that
// the device would be on which make_device() gives: what is copied to it, and what launches its work, belong
// there. Not where the launcher has bound the rank; if to the other side, that is said. Throws UsageError as
// make_device() does.
void place_near_device(const DeviceRequest& request);

}  // namespace hydrajob
