#include "timing/transfer_rate.hpp"

#include <memory>
#include <vector>

#include <gtest/gtest.h>

#include "unit/forwarding_device.hpp"

namespace hydrajob {
namespace {

// Copies beside the host, in the seconds that are told.
class BusDevice final : public ForwardingDevice {
 public:
  std::vector<double> seconds;
  double bytes = 0;  // of all copies

  std::unique_ptr<Buffer> allocate_staging(std::size_t n) override { return allocate(n); }
  void copy_to_device(void*, const void*, std::size_t n) override { bytes += static_cast<double>(n); }
  double seconds_between(const Mark&, const Mark&) const override { return seconds.at(told_++); }

 private:
  mutable std::size_t told_ = 0;
};

TEST(TransferRate, IsTheFastestOnceTheBusIsAwake) {
  BusDevice device;
  device.seconds = {0.01, 0.5, 0.25, 0.3, 0.5, 0.4};
  const auto self = make_self_communicator();
  const auto rate = host_to_device_bytes_per_s(device, *self);
  ASSERT_TRUE(rate);
  EXPECT_DOUBLE_EQ(*rate, device.bytes / 6 / 0.25);
}

TEST(TransferRate, IsNoneWhereNothingIsCopiedBesideTheHost) {
  const auto self = make_self_communicator();
  EXPECT_FALSE(host_to_device_bytes_per_s(*make_device({}), *self));
}

}  // namespace
}  // namespace hydrajob
