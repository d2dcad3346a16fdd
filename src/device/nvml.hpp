// What NVIDIA's management library (NVML) tells of a GPU. It comes with the driver and is loaded at run time:
// where it is missing, or does not know the GPU, everything here is missing too, and nothing is an error.
#pragma once

#include <memory>
#include <optional>
#include <string>

#include "device/device.hpp"

namespace hydrajob {

class GpuMonitor {
 public:
  // `uuid`: "GPU-xxxxxxxx-xxxx-xxxx-xxxx-xxxxxxxxxxxx". Not an index: NVML counts all GPUs of the machine,
  // this process may see some of them only, in another order. `library`: what dlopen is asked for.
  explicit GpuMonitor(const std::string& uuid, const std::string& library = "libnvidia-ml.so.1");
  ~GpuMonitor();
  GpuMonitor(const GpuMonitor&) = delete;
  GpuMonitor& operator=(const GpuMonitor&) = delete;

  // Takes the host some 50 µs to 500 µs; the GPU's stream does not notice. Nothing where nothing can be read.
  std::optional<DeviceCondition> condition() const;
  std::optional<double> power_limit_w() const;  // that the driver was told to keep
  std::string driver_version() const;           // "580.95.05"; empty where it is not told

 private:
  struct Library;
  std::unique_ptr<Library> library_;  // null: missing, or of no use
  void* gpu_ = nullptr;               // nvmlDevice_t; null: NVML does not know it
};

}  // namespace hydrajob
