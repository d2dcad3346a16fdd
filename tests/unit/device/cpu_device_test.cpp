#include "device/cpu_device.hpp"

#include <chrono>
#include <cstdint>
#include <cstring>
#include <functional>
#include <string>
#include <thread>
#include <utility>
#include <vector>

#include <gtest/gtest.h>

#include "base/error.hpp"
#include "device/host_memory.hpp"

namespace hydrajob {
namespace {

DeviceRequest with_cap(std::size_t bytes) {
  DeviceRequest request;
  request.memory_cap = bytes;
  request.threads = 3;
  return request;
}

std::string refusal(const std::function<void()>& work) {
  try {
    work();
  } catch (const OutOfMemory& e) {
    return e.what();
  }
  return "";
}

TEST(CpuDevice, MemoryIsAlignedCountedAndGivenBack) {
  const auto device = make_device({});
  const std::size_t before = host_memory_used();
  for (const std::size_t bytes :
       {std::size_t{1}, std::size_t{4097}, (std::size_t{2} << 20) - 1, std::size_t{5} << 20}) {
    const auto buffer = device->allocate(bytes);
    EXPECT_EQ(reinterpret_cast<std::uintptr_t>(buffer->data()) % 4096, 0u);
    EXPECT_EQ(buffer->bytes(), bytes);
    EXPECT_EQ(host_memory_used(), before + bytes);
    std::memset(buffer->data(), 0x5a, bytes);  // all of it is ours
  }
  EXPECT_EQ(host_memory_used(), before);
}

TEST(CpuDevice, NothingIsAllowed) {
  const auto device = make_device({});
  EXPECT_EQ(device->allocate(0)->bytes(), 0u);
}

TEST(CpuDevice, MoreThanItsCapIsRefusedWithTheSizes) {
  const auto device = make_device(with_cap(std::size_t{8} << 20));
  EXPECT_EQ(device->memory_available(), std::size_t{8} << 20);
  const auto first = device->allocate(std::size_t{5} << 20);
  const std::size_t used = host_memory_used();
  EXPECT_EQ(refusal([&] { device->allocate(std::size_t{4} << 20); }),
            "out of memory: 4.00 MiB asked for, this rank holds 5.00 MiB of its 8.00 MiB");
  EXPECT_EQ(host_memory_used(), used);
  device->allocate(std::size_t{3} << 20);
}

TEST(CpuDevice, MoreThanTheMachineHasIsRefusedBeforeItIsTouched) {
  const auto device = make_device({});
  EXPECT_NE(refusal([&] { device->allocate(std::size_t{1} << 50); }).find("1.00 PiB asked for"),
            std::string::npos);
  EXPECT_NE(refusal([&] { device->allocate(SIZE_MAX); }).find("asked for"), std::string::npos);
}

TEST(CpuDevice, RanksOfANodeShareItsMemory) {
  DeviceRequest one, four;
  four.local_size = 4;
  const auto alone = make_device(one)->memory_available(), shared = make_device(four)->memory_available();
  EXPECT_NEAR(static_cast<double>(shared), static_cast<double>(alone) / 4, 0.05 * static_cast<double>(alone));
  make_device({});  // the limit of a whole machine again
}

TEST(CpuDevice, CopiesEveryByteAtOddSizesAndOffsets) {
  const auto device = make_device(with_cap(0));
  for (const std::size_t bytes : {std::size_t{0}, std::size_t{1}, std::size_t{4095},
                                  (std::size_t{1} << 20) + 1, (std::size_t{3} << 20) + 4097}) {
    std::vector<std::uint8_t> source(bytes + 5), target(bytes + 10, 0xee);
    for (std::size_t i = 0; i < source.size(); ++i) source[i] = static_cast<std::uint8_t>(i * 31 + i / 251);
    device->copy_on_device(target.data() + 5, source.data() + 3, bytes);
    EXPECT_TRUE(std::equal(source.begin() + 3, source.begin() + 3 + static_cast<std::ptrdiff_t>(bytes),
                           target.begin() + 5));
    for (std::size_t i = 0; i < 5; ++i) {
      EXPECT_EQ(target[i], 0xee);
      EXPECT_EQ(target[bytes + 5 + i], 0xee);
    }
  }
}

TEST(CpuDevice, CopiesPiecesAndNothingBetween) {
  const auto device = make_device(with_cap(0));
  for (const auto& [bytes, pieces] : {std::pair<std::size_t, std::size_t>{7, 3},
                                      {3000, 700},
                                      {0, 2},
                                      {(std::size_t{1} << 20) + 1, 2},
                                      {5, 0}}) {
    const std::size_t stride = bytes + 9;
    std::vector<std::uint8_t> source(pieces * stride), target(pieces * stride, 0xee), expected = target;
    for (std::size_t i = 0; i < source.size(); ++i) source[i] = static_cast<std::uint8_t>(i * 31 + i / 251);
    for (std::size_t i = 0; i < source.size(); ++i) {
      if (i % stride < bytes) expected[i] = source[i];
    }
    device->copy_pieces_on_device(target.data(), source.data(), bytes, pieces, stride);
    EXPECT_EQ(target, expected) << bytes << " x " << pieces;
  }
}

TEST(CpuDevice, MarksTellSeconds) {
  const auto device = make_device({});
  const auto begin = device->mark();
  std::this_thread::sleep_for(std::chrono::milliseconds(20));
  const auto end = device->mark();
  device->synchronize();
  EXPECT_GE(device->seconds_between(*begin, *end), 0.02);
  EXPECT_LE(device->seconds_between(*end, *begin), -0.02);
}

TEST(CpuDevice, SaysWhatItIs) {
  const auto device = make_device(with_cap(0));
  EXPECT_EQ(device->name(), "cpu");
  const auto facts = device->describe();
  for (const char* name : {"cores", "memory", "memory_of_rank"}) EXPECT_TRUE(facts.contains(name)) << name;
  EXPECT_EQ(facts.at("threads"), "3");
}

TEST(MakeDevice, ABackendThatIsNotThereIsNamed) {
  DeviceRequest request;
  request.kind = DeviceKind::cuda;
  try {
    make_device(request);
    FAIL() << "made";
  } catch (const UsageError& e) {
    EXPECT_EQ(std::string(e.what()), "device 'cuda': this build has no CUDA backend");
  }
}

}  // namespace
}  // namespace hydrajob
