#include "device/nvml.hpp"

#include <array>
#include <dlfcn.h>

namespace hydrajob {
namespace {

// As the NVML API Reference Guide declares them (docs.nvidia.com/deploy/nvml-api: "Initialization and
// Cleanup", "System Queries", "Device Queries"). The header is not needed to build, and need not be there.
using Status = int;    // nvmlReturn_t
using Handle = void*;  // nvmlDevice_t
using Initialise = Status();
using ShutDown = Status();
using DriverVersion = Status(char* version, unsigned length);
using HandleByUuid = Status(const char* uuid, Handle* device);
using ClockInfo = Status(Handle device, int clock, unsigned* mhz);
using ClockReasons = Status(Handle device, unsigned long long* bits);
using Milliwatts = Status(Handle device, unsigned* milliwatts);

constexpr Status success = 0;  // NVML_SUCCESS
constexpr int sm_clock = 1;    // NVML_CLOCK_SM
constexpr double watts_of_milliwatt = 1e-3;

// What a function of NVML gives; nothing where the driver lacks the function or it fails.
template <class T, class Function, class... Arguments>
std::optional<T> ask(Function* function, Arguments... arguments) {
  T value{};
  if (function == nullptr || function(arguments..., &value) != success) return std::nullopt;
  return value;
}

std::optional<double> watts(Milliwatts* function, Handle gpu) {
  const auto milliwatts = ask<unsigned>(function, gpu);
  if (!milliwatts) return std::nullopt;
  return *milliwatts * watts_of_milliwatt;
}

}  // namespace

// Initialised while it exists.
struct GpuMonitor::Library {
  explicit Library(const std::string& name) : handle(dlopen(name.c_str(), RTLD_NOW | RTLD_LOCAL)) {
    if (handle == nullptr) return;
    auto* initialise = find<Initialise>("nvmlInit_v2");
    initialised = initialise != nullptr && initialise() == success;
    if (!initialised) return;
    driver_version = find<DriverVersion>("nvmlSystemGetDriverVersion");
    handle_by_uuid = find<HandleByUuid>("nvmlDeviceGetHandleByUUID");
    clock = find<ClockInfo>("nvmlDeviceGetClockInfo");
    // Older drivers know it by its older name only.
    clock_reasons = find<ClockReasons>("nvmlDeviceGetCurrentClocksEventReasons");
    if (clock_reasons == nullptr) {
      clock_reasons = find<ClockReasons>("nvmlDeviceGetCurrentClocksThrottleReasons");
    }
    power = find<Milliwatts>("nvmlDeviceGetPowerUsage");
    power_limit = find<Milliwatts>("nvmlDeviceGetPowerManagementLimit");
  }
  ~Library() {
    if (initialised) {
      if (auto* shut_down = find<ShutDown>("nvmlShutdown")) shut_down();
    }
    if (handle != nullptr) dlclose(handle);
  }
  Library(const Library&) = delete;
  Library& operator=(const Library&) = delete;

  template <class Function>
  Function* find(const char* name) const {
    return reinterpret_cast<Function*>(dlsym(handle, name));
  }

  void* handle;
  bool initialised = false;
  DriverVersion* driver_version = nullptr;
  HandleByUuid* handle_by_uuid = nullptr;
  ClockInfo* clock = nullptr;
  ClockReasons* clock_reasons = nullptr;
  Milliwatts* power = nullptr;
  Milliwatts* power_limit = nullptr;
};

GpuMonitor::GpuMonitor(const std::string& uuid, const std::string& library)
    : library_(std::make_unique<Library>(library)) {
  if (!library_->initialised) {
    library_.reset();
    return;
  }
  gpu_ = ask<Handle>(library_->handle_by_uuid, uuid.c_str()).value_or(nullptr);
}

GpuMonitor::~GpuMonitor() = default;

std::optional<DeviceCondition> GpuMonitor::condition() const {
  if (gpu_ == nullptr) return std::nullopt;
  DeviceCondition condition;
  // The clock first: it is what changes soonest once the work is done.
  condition.sm_clock_mhz = ask<unsigned>(library_->clock, gpu_, sm_clock);
  condition.throttle_reasons = ask<unsigned long long>(library_->clock_reasons, gpu_);
  condition.power_w = watts(library_->power, gpu_);
  if (!condition.sm_clock_mhz && !condition.throttle_reasons && !condition.power_w) return std::nullopt;
  return condition;
}

std::optional<double> GpuMonitor::power_limit_w() const {
  if (gpu_ == nullptr) return std::nullopt;
  return watts(library_->power_limit, gpu_);
}

std::string GpuMonitor::driver_version() const {
  std::array<char, 80> text{};  // NVML_SYSTEM_DRIVER_VERSION_BUFFER_SIZE
  if (!library_ || library_->driver_version == nullptr) return {};
  if (library_->driver_version(text.data(), text.size() - 1) != success) return {};
  return text.data();
}

}  // namespace hydrajob
