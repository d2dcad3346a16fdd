// The one place that knows which backends this build has.
#include "base/error.hpp"
#include "device/cpu_device.hpp"
#include "device/device.hpp"

namespace hydrajob {

std::unique_ptr<Device> make_device(const DeviceRequest& request) {
  if (request.kind == DeviceKind::cuda) throw UsageError("device 'cuda': this build has no CUDA backend");
  return make_cpu_device(request);
}

}  // namespace hydrajob
