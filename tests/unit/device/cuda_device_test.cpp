#include "device/cuda_device.hpp"

#include <cstdint>
#include <cstring>
#include <functional>
#include <iostream>
#include <random>
#include <string>
#include <vector>

#include <gtest/gtest.h>

#include "base/error.hpp"

namespace hydrajob {
namespace {

class CudaDevice : public ::testing::Test {
 protected:
  void SetUp() override {
    if (cuda_device_count() == 0) GTEST_SKIP() << "no GPU is visible";
  }

  static DeviceRequest request() {
    DeviceRequest request;
    request.kind = DeviceKind::cuda;
    return request;
  }
};

std::string message_of(const std::function<void()>& work) {
  try {
    work();
  } catch (const Error& e) {
    return e.what();
  }
  return "no error";
}

TEST(CudaDeviceWithoutGpu, SaysSo) {
  if (cuda_device_count() > 0) GTEST_SKIP() << "there is a GPU";
  DeviceRequest request;
  request.kind = DeviceKind::cuda;
  EXPECT_EQ(message_of([&] { make_device(request); }).find("device 'cuda': no GPU: "), 0u);
}

TEST_F(CudaDevice, CopiesEveryByteThereAndBack) {
  const unsigned seed = std::random_device{}();
  SCOPED_TRACE("seed " + std::to_string(seed));
  std::mt19937 random(seed);
  const auto device = make_device(request());
  for (const std::size_t bytes : {std::size_t{1}, std::size_t{4097}, (std::size_t{5} << 20) + 3}) {
    std::vector<unsigned char> sent(bytes), got(bytes, 0);
    for (auto& byte : sent) byte = static_cast<unsigned char>(random());
    const auto first = device->allocate(bytes), second = device->allocate(bytes);
    EXPECT_EQ(first->bytes(), bytes);
    device->copy_to_device(first->data(), sent.data(), bytes);
    device->copy_on_device(second->data(), first->data(), bytes);
    device->copy_to_host(got.data(), second->data(), bytes);
    device->synchronize();
    EXPECT_EQ(got, sent);
  }
}

// Copies run beside the host: memory that is filled again once their mark has passed has been read.
TEST_F(CudaDevice, CopiesFromStagingMemoryUntilTheMark) {
  const auto device = make_device(request());
  constexpr std::size_t bytes = (std::size_t{32} << 20) + 5;
  const auto staging = device->allocate_staging(bytes);
  ASSERT_NE(staging, nullptr);
  EXPECT_EQ(reinterpret_cast<std::uintptr_t>(staging->data()) % 4096, 0u);
  std::vector<std::unique_ptr<Buffer>> targets;
  for (int i = 0; i < 4; ++i) {
    targets.push_back(device->allocate(bytes));
    std::memset(staging->data(), i + 1, bytes);
    device->copy_to_device(targets.back()->data(), staging->data(), bytes);
    device->wait_for(*device->mark());
  }
  std::vector<unsigned char> got(bytes);
  for (int i = 0; i < 4; ++i) {
    device->copy_to_host(got.data(), targets[static_cast<std::size_t>(i)]->data(), bytes);
    device->synchronize();
    EXPECT_EQ(got, std::vector<unsigned char>(bytes, static_cast<unsigned char>(i + 1)));
  }
}

TEST_F(CudaDevice, MoreThanItsCapIsRefusedWithTheSizes) {
  DeviceRequest capped = request();
  capped.memory_cap = std::size_t{8} << 20;
  const auto device = make_device(capped);
  EXPECT_EQ(device->memory_available(), std::size_t{8} << 20);
  const auto first = device->allocate(std::size_t{5} << 20);
  EXPECT_EQ(message_of([&] { device->allocate(std::size_t{4} << 20); }),
            "out of memory: 4.00 MiB asked for, this rank holds 5.00 MiB of its 8.00 MiB");
  device->allocate(std::size_t{3} << 20);
  device->allocate(std::size_t{3} << 20);  // the one before was given back
}

TEST_F(CudaDevice, MoreThanTheGpuHasIsRefusedAndLeavesItUsable) {
  const auto device = make_device(request());
  EXPECT_NE(message_of([&] { device->allocate(std::size_t{1} << 50); }).find("1.00 PiB asked for"),
            std::string::npos);
  EXPECT_NE(message_of([&] { device->allocate(device->memory_available() + 1); }).find("out of memory"),
            std::string::npos);
  EXPECT_EQ(message_of([&] { device->allocate(1 << 20); }), "no error");
}

TEST_F(CudaDevice, TimesWhatRanBetweenTwoMarks) {
  const auto device = make_device(request());
  const auto a = device->allocate(std::size_t{256} << 20), b = device->allocate(std::size_t{256} << 20);
  const auto begin = device->mark();
  const auto middle = device->mark();
  for (int i = 0; i < 8; ++i) device->copy_on_device(b->data(), a->data(), a->bytes());
  const auto end = device->mark();
  device->synchronize();
  // 4 GiB move: no GPU does that in 0.1 ms, none needs a second.
  EXPECT_GT(device->seconds_between(*begin, *end), 1e-4);
  EXPECT_LT(device->seconds_between(*begin, *end), 1.0);
  EXPECT_GT(device->seconds_between(*middle, *end), device->seconds_between(*begin, *middle));
}

TEST_F(CudaDevice, SaysWhatItIs) {
  const auto facts = make_device(request())->describe();
  for (const char* name : {"gpu", "uuid", "compute_capability", "memory", "ecc", "cuda"}) {
    EXPECT_FALSE(facts.at(name).empty()) << name;
  }
  EXPECT_EQ(facts.at("uuid").size(), std::string("GPU-00000000-0000-0000-0000-000000000000").size());
}

// Where the driver brings NVML, as it does but in some containers.
TEST_F(CudaDevice, TellsItsConditionUnderLoad) {
  const auto device = make_device(request());
  if (!device->describe().contains("driver")) GTEST_SKIP() << "NVML is not there";
  EXPECT_NE(device->describe().at("driver").find('.'), std::string::npos);
  const auto a = device->allocate(std::size_t{256} << 20), b = device->allocate(std::size_t{256} << 20);
  const auto begin = device->mark();
  for (int i = 0; i < 500; ++i) device->copy_on_device(b->data(), a->data(), a->bytes());
  const auto condition = device->condition_after(*begin);
  const auto end = device->mark();
  device->synchronize();
  ASSERT_TRUE(condition);
  ASSERT_TRUE(condition->sm_clock_mhz);
  EXPECT_GT(*condition->sm_clock_mhz, 100);
  EXPECT_LT(*condition->sm_clock_mhz, 5000);
  EXPECT_GT(condition->power_w.value_or(11), 10);
  std::cout << "clock " << *condition->sm_clock_mhz << " MHz, reasons "
            << condition->throttle_reasons.value_or(0) << ", power " << condition->power_w.value_or(0)
            << " W\n";
}

TEST_F(CudaDevice, EachRankNeedsAGpu) {
  const int count = cuda_device_count();
  if (count < 2) GTEST_SKIP() << "one GPU: ranks share it";
  DeviceRequest beyond = request();
  beyond.local_rank = count;
  beyond.local_size = count + 1;
  EXPECT_NE(message_of([&] { make_device(beyond); }).find("expected a GPU for each"), std::string::npos);
}

}  // namespace
}  // namespace hydrajob
