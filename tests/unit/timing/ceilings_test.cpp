#include "timing/ceilings.hpp"

#include <string>

#include <gtest/gtest.h>

#include "base/error.hpp"

namespace hydrajob {
namespace {

TEST(Ceilings, AreMeasuredForEveryType) {
  const auto device = make_device({});
  const auto kernels = make_cpu_kernels(2);
  const auto self = make_self_communicator();
  for (const DType dtype : every_dtype) {
    const Ceilings ceilings = measure_ceilings(*device, *kernels, *self, dtype);
    EXPECT_GT(ceilings.matmul_flops_per_s, 1e8) << "a pocket calculator";
    EXPECT_LT(ceilings.matmul_flops_per_s, 1e16);
    EXPECT_GT(ceilings.memory_bytes_per_s, 1e8);
    EXPECT_LT(ceilings.memory_bytes_per_s, 1e14);
    EXPECT_EQ(ceilings.memory_bytes, static_cast<double>(device->memory_available()));
    EXPECT_GE(ceilings.packed_element_bytes, static_cast<double>(size_of(dtype)));
    EXPECT_LE(ceilings.packed_element_bytes, sizeof(float));
    EXPECT_EQ(ceilings.origin, "measured");
  }
}

TEST(Ceilings, ARankWithoutTheMemorySaysSo) {
  DeviceRequest request;
  request.memory_cap = 1 << 20;
  const auto device = make_device(request);
  const auto kernels = make_cpu_kernels(1);
  const auto self = make_self_communicator();
  try {
    measure_ceilings(*device, *kernels, *self, DType::f32);
    FAIL() << "measured";
  } catch (const RunError& e) {
    EXPECT_NE(std::string(e.what()).find("asked for, this rank holds 0 B of its 1.00 MiB"), std::string::npos)
        << e.what();
  }
}

}  // namespace
}  // namespace hydrajob
