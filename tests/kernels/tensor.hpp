// Tensors of the kernel tests: of any element type, poisoned until written, compared with tolerances of
// the type.
#pragma once

#include <algorithm>
#include <cmath>
#include <cstddef>
#include <cstdint>
#include <cstdlib>
#include <cstring>
#include <iostream>
#include <memory>
#include <random>
#include <string>
#include <vector>

#include <gtest/gtest.h>

#include "base/element.hpp"
#include "base/error.hpp"
#include "device/device.hpp"
#include "kernels/host_side.hpp"
#include "kernels/kernels.hpp"

namespace hydrajob::test {

// From HYDRAJOB_TEST_SEED, or new in every run; printed.
inline std::uint64_t seed() {
  static const std::uint64_t chosen = [] {
    const char* given = std::getenv("HYDRAJOB_TEST_SEED");
    const std::uint64_t s = given != nullptr ? std::strtoull(given, nullptr, 10) : std::random_device{}();
    std::cout << "HYDRAJOB_TEST_SEED=" << s << std::endl;
    return s;
  }();
  return chosen;
}

// Exactly as large as its elements, so that the address sanitizer sees every step beyond.
class Tensor {
 public:
  Tensor(std::int64_t elements, DType dtype)
      : dtype_(dtype),
        bytes_(static_cast<std::size_t>(elements) * size_of(dtype), std::byte{0xff}) {}  // all NaN

  static Tensor random(std::int64_t elements, DType dtype, std::mt19937_64& random, float spread = 1) {
    Tensor tensor(elements, dtype);
    std::normal_distribution<float> normal(0, spread);
    for (std::int64_t i = 0; i < elements; ++i) tensor.set(i, normal(random));
    return tensor;
  }

  std::int64_t size() const { return static_cast<std::int64_t>(bytes_.size() / size_of(dtype_)); }
  DType dtype() const { return dtype_; }
  void* data() { return bytes_.data(); }
  const void* data() const { return bytes_.data(); }
  float* floats() { return reinterpret_cast<float*>(bytes_.data()); }

  float at(std::int64_t i) const {
    return with_element(dtype_, [&](auto element) { return static_cast<float>(read<decltype(element)>(i)); });
  }
  void set(std::int64_t i, float value) {
    with_element(dtype_, [&](auto element) { write(i, decltype(element)(value)); });
  }
  bool operator==(const Tensor&) const = default;

 private:
  template <class T>
  T read(std::int64_t i) const {
    T value;
    std::memcpy(&value, bytes_.data() + static_cast<std::size_t>(i) * sizeof(T), sizeof(T));
    return value;
  }
  template <class T>
  void write(std::int64_t i, T value) {
    std::memcpy(bytes_.data() + static_cast<std::size_t>(i) * sizeof(T), &value, sizeof(T));
  }

  DType dtype_;
  std::vector<std::byte> bytes_;
};

// A number's distance to its neighbours, relative, at most: twice what rounding to nearest changes.
constexpr double spacing(DType dtype) {
  switch (dtype) {
    case DType::f32:
      return 0x1p-23;
    case DType::bf16:
      return 0x1p-7;
    case DType::f16:
      break;
  }
  return 0x1p-10;
}

// A rounding of the type, relative; and `absolute`.
inline void expect_near(const Tensor& actual, const Tensor& expected, double absolute,
                        const std::string& what) {
  ASSERT_EQ(actual.size(), expected.size()) << what;
  const double relative = actual.dtype() == DType::f32 ? 2e-6 : spacing(actual.dtype());
  for (std::int64_t i = 0; i < actual.size(); ++i) {
    const double a = actual.at(i), e = expected.at(i);
    if (std::isnan(a) && std::isnan(e)) continue;
    ASSERT_LE(std::abs(a - e), relative * std::abs(e) + absolute)
        << what << ", element " << i << ": " << a << ", not " << e;
  }
}

class NoStream final : public Stream {};

// The kernels under test, on the CPU with three threads, an odd number; and the reference.
class KernelTest : public ::testing::Test {
 protected:
  void SetUp() override {
    try {
      tested_ = make_tested_kernels(3);
    } catch (const UsageError& e) {
      GTEST_SKIP() << e.what();
    }
  }

  std::unique_ptr<Kernels> tested_;
  std::unique_ptr<Kernels> reference_ = make_reference_kernels();
  NoStream stream_;
  std::mt19937_64 random_{seed()};
};

}  // namespace hydrajob::test
