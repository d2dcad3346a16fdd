// Every instruction set of this processor gives the bits of the portable code.
#include <functional>
#include <numeric>
#include <utility>
#include <vector>

#include "kernels/cpu/row_kernels.hpp"
#include "kernels/nucleus.hpp"
#include "kernels/tensor.hpp"

namespace hydrajob::test {
namespace {

using cpu::Candidate;
using cpu::Isa;
using cpu::RowKernels;

class SameBits : public ::testing::Test {
 protected:
  // `result` of each instruction set, at sizes around the vectors' width.
  template <class Result>
  void expect_same(const std::function<Result(const RowKernels&, std::int64_t n)>& result) {
    for (const std::int64_t n : {1, 2, 15, 16, 17, 25, 31, 33, 63, 64, 65, 130, 1000}) {
      const Result portable = result(cpu::row_kernels_portable(), n);
      for (const Isa isa : {Isa::avx2, Isa::avx512}) {
        if (isa > cpu::detected_isa()) continue;
        EXPECT_EQ(result(cpu::row_kernels(isa), n), portable) << cpu::name_of(isa) << ", n " << n;
      }
    }
  }
  Tensor inputs_{Tensor::random(4000, DType::f32, random_, 3)};
  static inline std::mt19937_64 random_{seed()};
};

TEST_F(SameBits, Conversions) {
  for (std::int64_t i = 0; i < 100; ++i)
    inputs_.set(i, std::bit_cast<float>(static_cast<std::uint32_t>(random_())));
  for (const DType dtype : {DType::bf16, DType::f16}) {
    expect_same<Tensor>([&](const RowKernels& k, std::int64_t n) {
      Tensor narrow(n, dtype);
      k.from_f32(inputs_.floats(), narrow.data(), dtype, n);
      for (std::int64_t i = 0; i < n; ++i) {
        Tensor one(1, dtype);
        one.set(0, inputs_.at(i));
        EXPECT_EQ(std::bit_cast<std::uint32_t>(one.at(0)), std::bit_cast<std::uint32_t>(narrow.at(i)));
      }
      Tensor wide(n, DType::f32);
      k.to_f32(narrow.data(), dtype, wide.floats(), n);
      return wide;
    });
  }
}

// What conversion to f16 makes of numbers is random above; here it is read, all that there is.
TEST_F(SameBits, EveryF16) {
  Tensor all(65536, DType::f16);
  std::iota(static_cast<std::uint16_t*>(all.data()), static_cast<std::uint16_t*>(all.data()) + 65536, 0);
  for (const Isa isa : {Isa::portable, Isa::avx2, Isa::avx512}) {
    if (isa > cpu::detected_isa()) continue;
    Tensor wide(65536, DType::f32);
    cpu::row_kernels(isa).to_f32(all.data(), DType::f16, wide.floats(), 65536);
    for (std::int64_t i = 0; i < 65536; ++i) {
      ASSERT_EQ(std::bit_cast<std::uint32_t>(wide.at(i)), std::bit_cast<std::uint32_t>(all.at(i)))
          << cpu::name_of(isa) << ", " << i;
    }
  }
}

TEST_F(SameBits, Layers) {
  for (const DType dtype : every_dtype) {
    const Tensor a = Tensor::random(2000, dtype, random_), b = Tensor::random(2000, dtype, random_);
    expect_same<Tensor>([&](const RowKernels& k, std::int64_t n) {
      Tensor out(n, dtype), residual = inputs_;
      k.add_rmsnorm(residual.floats(), inputs_.floats() + n, a.data(), out.data(), n, 1e-5f, dtype);
      return out;
    });
    expect_same<Tensor>([&](const RowKernels& k, std::int64_t n) {
      Tensor out(n, dtype);
      k.swiglu(a.data(), b.data(), out.data(), n, dtype);
      return out;
    });
    expect_same<Tensor>([&](const RowKernels& k, std::int64_t n) {
      Tensor out(2 * n, dtype);
      k.rotate(a.data(), out.data(), inputs_.floats(), inputs_.floats() + n, 2 * n, dtype);
      return out;
    });
  }
}

TEST_F(SameBits, Sampling) {
  using Bits = std::pair<std::uint32_t, std::int32_t>;
  const auto bits = [](const Candidate& c) { return Bits{std::bit_cast<std::uint32_t>(c.value), c.id}; };
  for (const std::int64_t first : {0, 1, 63, 64, 1001}) {
    expect_same<Bits>([&](const RowKernels& k, std::int64_t n) {
      return bits(k.greedy(inputs_.floats(), nucleus_key(-1.0f), first, n));
    });
    for (const float temperature : {0.1f, 1.0f, 100.0f}) {
      const cpu::RowRandom random{temperature, philox_key(seed()), 7, 9};
      expect_same<Bits>([&](const RowKernels& k, std::int64_t n) {
        return bits(k.gumbel(inputs_.floats(), random, nucleus_key(-1.0f), first, n));
      });
    }
  }
}

TEST_F(SameBits, Nucleus) {
  for (int pass = 0; pass < nucleus_passes; ++pass) {
    expect_same<std::vector<std::uint64_t>>([&](const RowKernels& k, std::int64_t n) {
      std::vector<std::uint64_t> histogram(nucleus_digits, 0);
      const float maximum = k.maximum(inputs_.floats(), n);
      const std::uint32_t prefix = nucleus_key(inputs_.at(0)) & nucleus_settled(pass);
      k.nucleus_histogram(inputs_.floats(), maximum, prefix, pass, 0.8f, histogram.data(), n);
      return histogram;
    });
  }
}

}  // namespace
}  // namespace hydrajob::test
