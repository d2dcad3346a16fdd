#include "device/cuda_device.hpp"

#include <algorithm>
#include <array>
#include <cstdint>
#include <cstring>
#include <cuda_runtime_api.h>
#include <limits>
#include <utility>

#include <fmt/format.h>

#include "base/error.hpp"
#include "base/log.hpp"
#include "base/units.hpp"
#include "device/arena.hpp"
#include "device/cpu_info.hpp"
#include "device/cuda_error.hpp"
#include "device/cuda_staging.hpp"
#include "device/cuda_stream.hpp"
#include "device/nvml.hpp"
#include "device/placement.hpp"

namespace hydrajob {
namespace {

// What the driver, cuBLAS workspaces and fragments may still take of what is free.
constexpr double usable_part = 0.98;

class CudaMark final : public Mark {
 public:
  explicit CudaMark(cudaStream_t stream) {
    HJ_CUDA_CHECK(cudaEventCreate(&event_));
    HJ_CUDA_CHECK(cudaEventRecord(event_, stream));
  }
  ~CudaMark() override { cudaEventDestroy(event_); }
  CudaMark(const CudaMark&) = delete;
  CudaMark& operator=(const CudaMark&) = delete;
  cudaEvent_t event() const { return event_; }

 private:
  cudaEvent_t event_ = nullptr;
};

class CudaGraph final : public Replay {
 public:
  CudaGraph(const std::function<void()>& work, cudaStream_t stream) : stream_(stream) {
    work();  // loads what is loaded at its first use, which a capture must not
    HJ_CUDA_CHECK(cudaStreamBeginCapture(stream, cudaStreamCaptureModeThreadLocal));
    cudaGraph_t graph = nullptr;
    try {
      work();
    } catch (...) {
      cudaStreamEndCapture(stream, &graph);
      if (graph != nullptr) cudaGraphDestroy(graph);
      throw;
    }
    HJ_CUDA_CHECK(cudaStreamEndCapture(stream, &graph));
    const cudaError_t status = cudaGraphInstantiate(&executable_, graph, 0);
    cudaGraphDestroy(graph);
    check_cuda(status, "cudaGraphInstantiate");
  }
  ~CudaGraph() override { cudaGraphExecDestroy(executable_); }
  CudaGraph(const CudaGraph&) = delete;
  CudaGraph& operator=(const CudaGraph&) = delete;
  void launch() override { HJ_CUDA_CHECK(cudaGraphLaunch(executable_, stream_)); }

 private:
  cudaStream_t stream_;
  cudaGraphExec_t executable_ = nullptr;
};

std::string as_text(std::size_t bytes) {
  return format_bytes(static_cast<double>(bytes));
}

// Memory of the driver's. Nothing (null) when it has not so much.
class Block {
 public:
  Block() = default;
  explicit Block(std::size_t bytes) {
    const cudaError_t status = cudaMalloc(&data_, std::max<std::size_t>(bytes, 1));
    if (status == cudaErrorMemoryAllocation) {
      cudaGetLastError();  // or the next call that asks would report it
      return;
    }
    check_cuda(status, "cudaMalloc");
  }
  ~Block() { cudaFree(data_); }
  Block(Block&& other) noexcept : data_(std::exchange(other.data_, nullptr)) {}
  Block& operator=(Block&& other) noexcept {
    std::swap(data_, other.data_);
    return *this;
  }
  void* data() const { return data_; }

 private:
  void* data_ = nullptr;
};

// What one rank holds of a GPU: a reserved block that buffers are cut from, and blocks of single buffers.
class CudaMemory {
 public:
  // Where a buffer stands: in its own block, or at an offset of the reserved one.
  struct Place {
    void* data = nullptr;
    Block own;
    std::size_t offset = 0;
  };

  std::size_t limit() const { return limit_; }
  void set_limit(std::size_t bytes) { limit_ = bytes; }
  std::size_t held() const { return held_; }

  bool reserve(std::size_t bytes) {
    if (arena_.taken() > 0) return bytes <= own_ + arena_.bytes();
    const std::size_t wanted = bytes - std::min(bytes, own_);
    if (wanted <= arena_.bytes()) return true;
    if (wanted > limit_ - std::min(own_, limit_)) return false;
    arena_ = Arena();
    reserved_ = Block();  // before the larger one is asked for
    reserved_ = Block(wanted + Arena::granule);
    if (reserved_.data() == nullptr) return false;
    arena_ = Arena(wanted);
    return true;
  }

  Place take(std::size_t bytes) {
    const auto offset = arena_.take(bytes);
    if (!offset) return take_own(bytes);
    Place place;
    place.data = begin_of_reserved() + *offset;
    place.offset = *offset;
    held_ += bytes;
    return place;
  }

  Place take_own(std::size_t bytes) {
    const std::size_t free = limit_ - std::min(limit_, arena_.bytes() + own_);
    if (bytes > free) refuse(bytes, "");
    Place place;
    place.own = Block(bytes);
    if (place.own.data() == nullptr) refuse(bytes, ", and the GPU has no more");
    place.data = place.own.data();
    own_ += bytes;
    held_ += bytes;
    return place;
  }

  void give_back(const Place& place, std::size_t bytes) {
    held_ -= bytes;
    if (place.own.data() == nullptr) {
      arena_.give_back(place.offset);
    } else {
      own_ -= bytes;
    }
  }

 private:
  std::byte* begin_of_reserved() const {
    const auto at = reinterpret_cast<std::uintptr_t>(reserved_.data());
    return static_cast<std::byte*>(reserved_.data()) +
           (Arena::granule - at % Arena::granule) % Arena::granule;
  }

  [[noreturn]] void refuse(std::size_t bytes, const char* more) const {
    const std::string reserved = arena_.bytes() == 0
                                     ? ""
                                     : fmt::format(" ({} are reserved, {} of them free in one piece)",
                                                   as_text(arena_.bytes()), as_text(arena_.largest_free()));
    throw OutOfMemory(fmt::format("out of memory: {} asked for, this rank holds {} of its {}{}{}",
                                  as_text(bytes), as_text(held_), as_text(limit_), reserved, more));
  }

  std::size_t limit_ = 0;
  std::size_t held_ = 0;  // of all buffers
  std::size_t own_ = 0;   // of those with a block of their own
  Block reserved_;
  Arena arena_;  // of the reserved block
};

class CudaBuffer final : public Buffer {
 public:
  enum class Where { anywhere, own_block };

  CudaBuffer(std::size_t bytes, std::shared_ptr<CudaMemory> memory, Where where = Where::anywhere)
      : bytes_(bytes),
        memory_(std::move(memory)),
        place_(where == Where::anywhere ? memory_->take(bytes) : memory_->take_own(bytes)) {}
  ~CudaBuffer() override { memory_->give_back(place_, bytes_); }
  CudaBuffer(const CudaBuffer&) = delete;
  CudaBuffer& operator=(const CudaBuffer&) = delete;

  void* data() override { return place_.data; }
  std::size_t bytes() const override { return bytes_; }

 private:
  std::size_t bytes_;
  std::shared_ptr<CudaMemory> memory_;  // buffers may outlive their device
  CudaMemory::Place place_;
};

// Another process's memory, opened.
class PeerBuffer final : public Buffer {
 public:
  PeerBuffer(const std::string& handle, std::size_t bytes) : bytes_(bytes) {
    cudaIpcMemHandle_t opened{};
    if (handle.size() != sizeof opened) throw RunError("CUDA: no handle of another process's memory");
    std::memcpy(&opened, handle.data(), sizeof opened);
    HJ_CUDA_CHECK(cudaIpcOpenMemHandle(&data_, opened, cudaIpcMemLazyEnablePeerAccess));
  }
  ~PeerBuffer() override { cudaIpcCloseMemHandle(data_); }
  PeerBuffer(const PeerBuffer&) = delete;
  PeerBuffer& operator=(const PeerBuffer&) = delete;

  void* data() override { return data_; }
  std::size_t bytes() const override { return bytes_; }

 private:
  std::size_t bytes_;
  void* data_ = nullptr;
};

int choose_gpu(const DeviceRequest& request) {
  int count = 0;
  const cudaError_t status = cudaGetDeviceCount(&count);
  if (status != cudaSuccess || count == 0) {
    throw UsageError(fmt::format("device 'cuda': no GPU: {}",
                                 status == cudaSuccess ? "none is visible" : cudaGetErrorString(status)));
  }
  if (count == 1 && request.local_size > 1) return 0;  // each rank sees its own, or they share the only one
  if (request.share_gpus) return request.local_rank % count;
  if (request.local_rank >= count) {
    throw UsageError(
        fmt::format("device 'cuda': {} ranks on this node, {} GPUs: expected a GPU for each; "
                    "experiments may share them with --share-gpus",
                    request.local_size, count));
  }
  return request.local_rank;
}

// That share the GPU of this number.
std::size_t ranks_on_gpu(const DeviceRequest& request, int index) {
  if (!request.share_gpus) return 1;
  const int count = cuda_device_count();
  return static_cast<std::size_t>((request.local_size - index + count - 1) / count);
}

std::string bus_id_of(int index) {
  std::array<char, 32> id{};
  HJ_CUDA_CHECK(cudaDeviceGetPCIBusId(id.data(), static_cast<int>(id.size()), index));
  return id.data();
}

std::string uuid_text(const cudaUUID_t& uuid) {
  std::string text = "GPU-";
  for (int i = 0; i < 16; ++i) {
    if (i == 4 || i == 6 || i == 8 || i == 10) text += '-';
    text += fmt::format("{:02x}", static_cast<unsigned char>(uuid.bytes[i]));
  }
  return text;
}

std::string uuid_of(int index) {
  cudaDeviceProp gpu{};
  HJ_CUDA_CHECK(cudaGetDeviceProperties(&gpu, index));
  return uuid_text(gpu.uuid);
}

// 13000 becomes "13.0".
std::string version_text(int version) {
  return fmt::format("{}.{}", version / 1000, version % 1000 / 10);
}

class CudaDevice final : public Device {
 public:
  explicit CudaDevice(const DeviceRequest& request) : index_(choose_gpu(request)), monitor_(uuid_of(index_)) {
    HJ_CUDA_CHECK(cudaSetDevice(index_));
    stream_ = std::make_unique<CudaStream>();
    std::size_t free = 0, total = 0;
    HJ_CUDA_CHECK(cudaMemGetInfo(&free, &total));
    const auto usable =
        static_cast<std::size_t>(usable_part * static_cast<double>(free)) / ranks_on_gpu(request, index_);
    memory_->set_limit(request.memory_cap > 0 ? std::min(usable, request.memory_cap) : usable);
  }

  DeviceKind kind() const override { return DeviceKind::cuda; }
  std::string name() const override { return fmt::format("cuda:{}", index_); }
  std::size_t memory_available() const override { return memory_->limit(); }
  std::size_t cache_bytes() const override {
    int bytes = 0;
    HJ_CUDA_CHECK(cudaDeviceGetAttribute(&bytes, cudaDevAttrL2CacheSize, index_));
    return static_cast<std::size_t>(bytes);
  }
  bool reserve(std::size_t bytes) override { return memory_->reserve(bytes); }
  std::size_t memory_held() const override { return memory_->held(); }
  std::optional<std::size_t> memory_in_use() const override {
    std::size_t free = 0, total = 0;
    HJ_CUDA_CHECK(cudaMemGetInfo(&free, &total));
    return total - free;
  }
  std::unique_ptr<Buffer> allocate(std::size_t bytes) override {
    return std::make_unique<CudaBuffer>(bytes, memory_);
  }

  std::unique_ptr<Buffer> allocate_for_peers(std::size_t bytes) override {
    return std::make_unique<CudaBuffer>(bytes, memory_, CudaBuffer::Where::own_block);
  }
  std::string peer_handle(Buffer& buffer) override {
    cudaIpcMemHandle_t handle{};
    HJ_CUDA_CHECK(cudaIpcGetMemHandle(&handle, buffer.data()));
    return {reinterpret_cast<const char*>(&handle), sizeof handle};
  }
  std::unique_ptr<Buffer> open_peer(const std::string& handle, std::size_t bytes) override {
    return std::make_unique<PeerBuffer>(handle, bytes);
  }

  std::unique_ptr<Buffer> allocate_staging(std::size_t bytes) override {
    return std::make_unique<StagingBuffer>(bytes, staging_);
  }
  std::unique_ptr<CopyQueue> copy_queue() override { return std::make_unique<CudaCopyQueue>(index_); }

  Stream& stream() override { return *stream_; }
  void synchronize() override { HJ_CUDA_CHECK(cudaStreamSynchronize(stream_->get())); }

  void copy_to_device(void* target, const void* host, std::size_t bytes) override {
    copy(target, host, bytes, cudaMemcpyHostToDevice);
  }
  void copy_to_host(void* host, const void* source, std::size_t bytes) override {
    copy(host, source, bytes, cudaMemcpyDeviceToHost);
  }
  void copy_on_device(void* target, const void* source, std::size_t bytes) override {
    copy(target, source, bytes, cudaMemcpyDeviceToDevice);
  }

  void copy_pieces_on_device(void* target, const void* source, std::size_t bytes, std::size_t pieces,
                             std::size_t stride) override {
    if (bytes == 0 || pieces == 0) return;
    constexpr std::size_t longest_pitch = std::numeric_limits<std::int32_t>::max();
    if (stride > longest_pitch) return Device::copy_pieces_on_device(target, source, bytes, pieces, stride);
    HJ_CUDA_CHECK(cudaMemcpy2DAsync(target, stride, source, stride, bytes, pieces, cudaMemcpyDeviceToDevice,
                                    stream_->get()));
  }

  std::unique_ptr<Replay> record(std::function<void()> work) override {
    return std::make_unique<CudaGraph>(work, stream_->get());
  }

  bool usable() override {
    cudaGetLastError();  // what a launch left is over once it was told
    return cudaStreamSynchronize(stream_->get()) == cudaSuccess && cudaGetLastError() == cudaSuccess;
  }

  std::unique_ptr<Mark> mark() override { return std::make_unique<CudaMark>(stream_->get()); }
  void wait_for(const Mark& mark) override {
    HJ_CUDA_CHECK(cudaEventSynchronize(static_cast<const CudaMark&>(mark).event()));
  }
  double seconds_between(const Mark& begin, const Mark& end) const override {
    float milliseconds = 0;
    HJ_CUDA_CHECK(cudaEventElapsedTime(&milliseconds, static_cast<const CudaMark&>(begin).event(),
                                       static_cast<const CudaMark&>(end).event()));
    return static_cast<double>(milliseconds) * 1e-3;
  }

  std::optional<DeviceCondition> condition_after(const Mark& mark) override {
    if (!tells_condition_) return std::nullopt;
    wait_for(mark);
    return monitor_.condition();
  }

  std::map<std::string, std::string> describe() const override {
    cudaDeviceProp gpu{};
    HJ_CUDA_CHECK(cudaGetDeviceProperties(&gpu, index_));
    int driver = 0, runtime = 0;
    HJ_CUDA_CHECK(cudaDriverGetVersion(&driver));
    HJ_CUDA_CHECK(cudaRuntimeGetVersion(&runtime));
    std::map<std::string, std::string> facts{
        {"gpu", gpu.name},
        {"uuid", uuid_text(gpu.uuid)},
        {"pci_bus_id", bus_id_of(index_)},
        {"compute_capability", fmt::format("{}.{}", gpu.major, gpu.minor)},
        {"multiprocessors", std::to_string(gpu.multiProcessorCount)},
        {"memory", format_bytes(static_cast<double>(gpu.totalGlobalMem))},
        {"l2_cache", format_bytes(static_cast<double>(gpu.l2CacheSize))},
        {"ecc", gpu.ECCEnabled ? "on" : "off"},
        {"driver", monitor_.driver_version()},
        {"driver_supports_cuda", version_text(driver)},
        {"cuda", version_text(runtime)},
        {"memory_of_rank", as_text(memory_->limit())}};
    if (const auto limit = monitor_.power_limit_w()) facts["power_limit"] = fmt::format("{:g} W", *limit);
    std::erase_if(facts, [](const auto& fact) { return fact.second.empty(); });
    return facts;
  }

 private:
  void copy(void* target, const void* source, std::size_t bytes, cudaMemcpyKind kind) const {
    if (bytes > 0) HJ_CUDA_CHECK(cudaMemcpyAsync(target, source, bytes, kind, stream_->get()));
  }

  int index_;
  GpuMonitor monitor_;
  bool tells_condition_ = monitor_.condition().has_value();
  std::unique_ptr<CudaStream> stream_;
  std::shared_ptr<CudaMemory> memory_ = std::make_shared<CudaMemory>();
  IdlePinned staging_ = std::make_shared<std::unique_ptr<PinnedMemory>>();
};

}  // namespace

int cuda_device_count() {
  int count = 0;
  if (cudaGetDeviceCount(&count) == cudaSuccess) return count;
  cudaGetLastError();
  return 0;
}

std::string why_no_cuda_device() {
  int count = 0;
  const cudaError_t status = cudaGetDeviceCount(&count);
  cudaGetLastError();
  if (status != cudaSuccess) return cudaGetErrorString(status);
  return count > 0 ? "" : "no GPU is visible";
}

void place_near_cuda_device(const DeviceRequest& request) {
  const int index = choose_gpu(request);
  const std::vector<int> near = cpus_near(bus_id_of(index)), allowed = cpus_allowed();
  const std::vector<int> wanted = cpus_to_bind_to(near, allowed, cpus_online());
  if (!wanted.empty() && !bind_to(wanted)) {
    log::warning(fmt::format("cuda:{}: the system does not let this rank run on the CPUs near it", index));
  }
  if (is_far(near, allowed)) {
    log::warning(fmt::format("cuda:{}: this rank was bound to CPUs on the other side of the machine", index));
  }
}

std::unique_ptr<Device> make_cuda_device(const DeviceRequest& request) {
  return std::make_unique<CudaDevice>(request);
}

}  // namespace hydrajob
