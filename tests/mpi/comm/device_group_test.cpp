// A group's collectives on the memory of its devices, against sums in double. HYDRAJOB_TEST_DEVICE=cuda:
// between GPUs, one a rank.
#include "comm/device_group.hpp"

#include <algorithm>
#include <cmath>
#include <cstdlib>
#include <iostream>
#include <random>
#include <string>

#include <gtest/gtest.h>

#include "base/bf16.hpp"
#include "base/f16.hpp"
#include "mpi/mpi_main.hpp"

namespace hydrajob {
namespace {

using test::world;

bool on_gpus() {
  const char* device = std::getenv("HYDRAJOB_TEST_DEVICE");
  return device != nullptr && std::string(device) == "cuda";
}

std::uint32_t seed() {
  static const std::uint32_t value = [] {
    const char* given = std::getenv("HJ_TEST_SEED");
    auto mine = static_cast<std::uint32_t>(given != nullptr ? std::stoul(given) : std::random_device{}());
    world().broadcast(&mine, sizeof mine, 0);
    if (world().rank() == 0) std::cout << "HJ_TEST_SEED=" << mine << std::endl;
    return mine;
  }();
  return value;
}

constexpr std::size_t sizes[] = {1, 127, 4099, 1048583};

class DeviceGroupTest : public testing::Test {
 protected:
  void SetUp() override {
    if (on_gpus() && !all_true(world(), visible_gpus() >= world().size())) {
      GTEST_SKIP() << world().size() << " ranks, " << visible_gpus() << " GPUs";
    }
    DeviceRequest request;
    request.kind = on_gpus() ? DeviceKind::cuda : DeviceKind::cpu;
    request.local_rank = world().rank();
    request.local_size = world().size();
    device_ = make_device(request);
    group_ = std::make_unique<DeviceGroup>(world().split(0));
    on_ = &group_->on(*device_);
  }

  // Rank r's vector: every rank can compute every rank's.
  static std::vector<float> values_of(int rank, std::size_t n) {
    std::mt19937 generator(seed() + static_cast<std::uint32_t>(rank));
    std::normal_distribution<float> normal;
    std::vector<float> values(n);
    for (float& v : values) v = normal(generator);
    return values;
  }

  template <class T>
  std::unique_ptr<Buffer> upload(const std::vector<T>& host) {
    auto buffer = device_->allocate(host.size() * sizeof(T));
    device_->copy_to_device(buffer->data(), host.data(), host.size() * sizeof(T));
    device_->synchronize();
    return buffer;
  }

  template <class T>
  std::vector<T> download(Buffer& buffer) {
    std::vector<T> host(buffer.bytes() / sizeof(T));
    device_->copy_to_host(host.data(), buffer.data(), buffer.bytes());
    device_->synchronize();
    return host;
  }

  template <class T>
  void expect_same_everywhere(const std::vector<T>& values) {
    const std::string mine(reinterpret_cast<const char*>(values.data()), values.size() * sizeof(T));
    for (const std::string& theirs : world().all_gather(mine)) EXPECT_TRUE(theirs == mine);
  }

  // bits: of a significand, the leading one too.
  template <class T>
  void expect_short_sums(DType dtype, int bits) {
    for (const std::size_t n : sizes) {
      std::vector<double> expected(n, 0.0), magnitude(n, 0.0);
      std::vector<T> mine(n);
      for (int r = 0; r < world().size(); ++r) {
        const auto theirs = values_of(r, n);
        for (std::size_t i = 0; i < n; ++i) {
          const T value(theirs[i]);
          expected[i] += static_cast<float>(value);
          magnitude[i] += std::fabs(static_cast<float>(value));
          if (r == world().rank()) mine[i] = value;
        }
      }
      const auto data = upload(mine);
      on_->all_reduce_sum(data->data(), static_cast<std::int64_t>(n), dtype, device_->stream());
      const auto sums = download<T>(*data);
      for (std::size_t i = 0; i < n; ++i) {
        const double bound = world().size() * magnitude[i] * std::ldexp(1.0, -bits) + 1e-30;
        ASSERT_NEAR(static_cast<float>(sums[i]), expected[i], bound) << i << " of " << n;
      }
      expect_same_everywhere(sums);
    }
  }

  std::unique_ptr<Device> device_;
  std::unique_ptr<DeviceGroup> group_;
  Communicator* on_ = nullptr;
};

TEST_F(DeviceGroupTest, SumsF32) {
  for (const std::size_t n : sizes) {
    std::vector<double> expected(n, 0.0);
    for (int r = 0; r < world().size(); ++r) {
      const auto theirs = values_of(r, n);
      for (std::size_t i = 0; i < n; ++i) expected[i] += theirs[i];
    }
    const auto data = upload(values_of(world().rank(), n));
    on_->all_reduce_sum(data->data(), static_cast<std::int64_t>(n), DType::f32, device_->stream());
    const auto sums = download<float>(*data);
    for (std::size_t i = 0; i < n; ++i) ASSERT_NEAR(sums[i], expected[i], 1e-5) << i << " of " << n;
    expect_same_everywhere(sums);
  }
}

TEST_F(DeviceGroupTest, SumsBf16AndF16) {
  expect_short_sums<Bf16>(DType::bf16, 8);
  expect_short_sums<F16>(DType::f16, 11);
}

TEST_F(DeviceGroupTest, SumsIntegersAndTakesMaxima) {
  constexpr std::size_t n = 2048;
  const auto size = static_cast<std::uint64_t>(world().size());
  const auto sums = upload(
      std::vector<std::uint64_t>(n, (std::uint64_t{1} << 40) + static_cast<std::uint64_t>(world().rank())));
  on_->all_reduce_sum(sums->as<std::uint64_t>(), n, device_->stream());
  EXPECT_EQ(download<std::uint64_t>(*sums),
            std::vector<std::uint64_t>(n, (size << 40) + size * (size - 1) / 2));

  const auto maxima = upload(values_of(world().rank(), n));
  auto expected = values_of(0, n);
  for (int r = 1; r < world().size(); ++r) {
    const auto theirs = values_of(r, n);
    for (std::size_t i = 0; i < n; ++i) expected[i] = std::max(expected[i], theirs[i]);
  }
  on_->all_reduce_max(maxima->as<float>(), n, device_->stream());
  EXPECT_EQ(download<float>(*maxima), expected);
}

TEST_F(DeviceGroupTest, GathersPartsInRankOrder) {
  constexpr std::size_t n = 1001;
  const auto mine = upload(std::vector<std::int32_t>(n, world().rank()));
  const auto all = upload(std::vector<std::int32_t>(n * static_cast<std::size_t>(world().size()), -1));
  on_->all_gather(mine->data(), all->data(), n * sizeof(std::int32_t), device_->stream());
  const auto parts = download<std::int32_t>(*all);
  for (std::size_t i = 0; i < parts.size(); ++i) ASSERT_EQ(parts[i], static_cast<std::int32_t>(i / n));
}

// As the decode step: recorded once, launched often, each time on what is there then. Whole numbers, which
// f32 adds without rounding.
TEST_F(DeviceGroupTest, RecordedSumsDoNotDrift) {
  constexpr std::size_t n = 4096, launches = 1000;
  std::vector<float> mine;  // (launches, n)
  for (std::size_t i = 0; i < launches * n; ++i)
    mine.push_back(static_cast<float>(i / n + i % 7) + world().rank());
  const auto parts = upload(mine), all = upload(std::vector<float>(launches * n, -1.0F));
  const auto data = upload(std::vector<float>(n, 0.0F));
  const auto recorded = device_->record([&] {
    on_->all_reduce_sum(data->data(), n, DType::f32, device_->stream());
    on_->all_reduce_max(data->as<float>(), n, device_->stream());
  });
  for (std::size_t i = 0; i < launches; ++i) {
    device_->copy_on_device(data->data(), parts->as<float>() + i * n, data->bytes());
    recorded->launch();
    device_->copy_on_device(all->as<float>() + i * n, data->data(), data->bytes());
  }
  const auto sums = download<float>(*all);
  const auto size = static_cast<float>(world().size());
  for (std::size_t i = 0; i < sums.size(); ++i) {
    const float expected = size * static_cast<float>(i / n + i % 7) + size * (size - 1) / 2;
    ASSERT_EQ(sums[i], expected) << "launch " << i / n;
  }
}

TEST_F(DeviceGroupTest, TheHostsOperationsAreTheGroups) {
  EXPECT_EQ(on_->size(), world().size());
  EXPECT_EQ(on_->rank(), world().rank());
  EXPECT_EQ(on_->all_reduce_sum(1.0), world().size());
  EXPECT_EQ(&group_->on(*device_), on_) << "connected once";
}

}  // namespace
}  // namespace hydrajob

HJ_MPI_TEST_MAIN()
