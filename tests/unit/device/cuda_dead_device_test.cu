// A GPU whose context has died says so. Alone in its process: nothing can follow it there.
#include <gtest/gtest.h>

#include "base/error.hpp"
#include "device/cuda_device.hpp"
#include "device/cuda_stream.hpp"

namespace hydrajob {
namespace {

__global__ void read_nowhere(const int* nowhere, int* target) {
  *target = *nowhere;
}

TEST(CudaDeadDevice, IsOfNoUseAnyMore) {
  if (cuda_device_count() == 0) GTEST_SKIP() << "no GPU is visible";
  const auto device = make_device({DeviceKind::cuda});
  const auto buffer = device->allocate(4);
  EXPECT_TRUE(device->usable());
  EXPECT_THROW(device->allocate(std::size_t{1} << 60), OutOfMemory);
  EXPECT_TRUE(device->usable()) << "no memory is no death";
  read_nowhere<<<1, 1, 0, cuda_stream(device->stream())>>>(reinterpret_cast<const int*>(8),
                                                           buffer->as<int>());
  EXPECT_FALSE(device->usable());
  EXPECT_THROW(device->synchronize(), RunError);
}

}  // namespace
}  // namespace hydrajob
