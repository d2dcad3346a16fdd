#include <memory>
#include <vector>

#include "device/host_memory.hpp"
#include "kernels/tensor.hpp"

namespace hydrajob::test {
namespace {

struct Shape {
  std::int64_t rows, in, out;
};

class LinearTest : public KernelTest {
 protected:
  // Every element within the rounding of f32 sums, and of y's type. added_to: what y held before, if it
  // counts.
  void expect_product(const Tensor& x, const Tensor& weight, WeightLayout layout, const Shape& s,
                      const Tensor& y, const Tensor* added_to = nullptr) {
    const double rounding = 0.5 * spacing(y.dtype());
    for (std::int64_t r = 0; r < s.rows; ++r) {
      for (std::int64_t o = 0; o < s.out; ++o) {
        double sum = added_to != nullptr ? added_to->at(r * s.out + o) : 0.0, magnitude = std::abs(sum);
        for (std::int64_t i = 0; i < s.in; ++i) {
          const double term = static_cast<double>(x.at(r * s.in + i)) *
                              weight.at(layout == WeightLayout::out_in ? o * s.in + i : i * s.out + o);
          sum += term;
          magnitude += std::abs(term);
        }
        ASSERT_LE(std::abs(y.at(r * s.out + o) - sum), 1e-6 * magnitude + rounding * std::abs(sum))
            << s.rows << " x " << s.in << " x " << s.out << " at (" << r << ", " << o << ")";
      }
    }
  }

  void check(Kernels& kernels, const Shape& s, WeightLayout layout, DType dtype, DType y_dtype) {
    const Tensor x = Tensor::random(s.rows * s.in, dtype, random_);
    const Tensor weight = Tensor::random(s.in * s.out, dtype, random_);
    Tensor y(s.rows * s.out, y_dtype);
    const auto packed = kernels.pack(weight.data(), layout, s.out, s.in, 64, dtype);
    EXPECT_EQ(packed->in(), s.in);
    EXPECT_EQ(packed->out(), s.out);
    EXPECT_GE(packed->bytes(), static_cast<std::size_t>(s.in * s.out) * size_of(dtype));
    kernels.linear(x.data(), *packed, y.data(), y_dtype, s.rows, dtype, stream_);
    expect_product(x, weight, layout, s, y);
  }

  void check_sum(Kernels& kernels, const Shape& s, WeightLayout layout, DType dtype) {
    const Tensor x = Tensor::random(s.rows * s.in, dtype, random_);
    const Tensor weight = Tensor::random(s.in * s.out, dtype, random_);
    const Tensor before = Tensor::random(s.rows * s.out, DType::f32, random_);
    Tensor y = before;
    const auto packed = kernels.pack(weight.data(), layout, s.out, s.in, 64, dtype);
    kernels.add_linear(x.data(), *packed, static_cast<float*>(y.data()), s.rows, dtype, stream_);
    expect_product(x, weight, layout, s, y, &before);
  }
};

const std::vector<Shape> shapes{{1, 1, 1},      {1, 65, 25},    {3, 64, 64},
                                {16, 288, 777}, {37, 101, 130}, {70, 511, 65}};

TEST_F(LinearTest, ReferenceMultipliesByHand) {
  const std::vector<float> x{1, 2, 3}, by_out{1, 0, 1, 0, 10, 0}, by_in{1, 0, 0, 10, 1, 0};
  for (const WeightLayout layout : {WeightLayout::out_in, WeightLayout::in_out}) {
    const auto& weight = layout == WeightLayout::out_in ? by_out : by_in;
    const auto packed = reference_->pack(weight.data(), layout, 2, 3, 1, DType::f32);
    std::vector<float> y(2);
    reference_->linear(x.data(), *packed, y.data(), DType::f32, 1, DType::f32, stream_);
    EXPECT_EQ(y, (std::vector<float>{4, 20}));
  }
}

TEST_F(LinearTest, AddsToWhatIsThere) {
  for (const Shape& shape : shapes) {
    for (const WeightLayout layout : {WeightLayout::out_in, WeightLayout::in_out}) {
      for (const DType dtype : every_dtype) {
        check_sum(*tested_, shape, layout, dtype);
        check_sum(*reference_, shape, layout, dtype);
      }
    }
  }
}

TEST_F(LinearTest, EveryLayoutAndTypeAtOddSizes) {
  for (const Shape& shape : shapes) {
    for (const WeightLayout layout : {WeightLayout::out_in, WeightLayout::in_out}) {
      for (const DType dtype : every_dtype) {
        for (const DType y_dtype : every_dtype) {
          // What engines ask for; cuBLASLt has no other.
          const bool asked_for = y_dtype == DType::f32 || y_dtype == dtype;
          if (!tests_cuda() || asked_for) check(*tested_, shape, layout, dtype, y_dtype);
          check(*reference_, shape, layout, dtype, y_dtype);
        }
      }
    }
  }
}

TEST_F(LinearTest, OneWeightServesMoreRowCountsThanAreKept) {
  const std::int64_t in = 72, out = 40;
  for (const DType dtype : every_dtype) {
    const Tensor weight = Tensor::random(in * out, dtype, random_);
    const auto packed = tested_->pack(weight.data(), WeightLayout::out_in, out, in, 8, dtype);
    for (int pass = 0; pass < 2; ++pass) {
      for (std::int64_t rows = 1; rows <= 40; ++rows) {
        const Tensor x = Tensor::random(rows * in, dtype, random_);
        Tensor y(rows * out, DType::f32);
        tested_->linear(x.data(), *packed, y.data(), DType::f32, rows, dtype, stream_);
        expect_product(x, weight, WeightLayout::out_in, {rows, in, out}, y);
      }
    }
  }
}

// Tuned twice, for it keeps what it found.
TEST_F(LinearTest, TunedProductsAreRight) {
  const Shape s{200, 264, 136};
  for (const WeightLayout layout : {WeightLayout::out_in, WeightLayout::in_out}) {
    for (const DType dtype : {DType::bf16, DType::f16}) {
      for (const DType y_dtype : {DType::f32, dtype}) {
        const Tensor x = Tensor::random(s.rows * s.in, dtype, random_);
        std::vector<Tensor> weights;
        std::vector<std::unique_ptr<PackedWeight>> packed;
        std::vector<const PackedWeight*> tuned;
        for (int i = 0; i < 3; ++i) {
          weights.push_back(Tensor::random(s.in * s.out, dtype, random_));
          packed.push_back(tested_->pack(weights.back().data(), layout, s.out, s.in, s.rows, dtype));
          tuned.push_back(packed.back().get());
        }
        Tensor y(s.rows * s.out, y_dtype);
        for (int pass = 0; pass < 2; ++pass) {
          tested_->tune_linear(x.data(), tuned, y.data(), y_dtype, s.rows, dtype, stream_);
          for (std::size_t i = 0; i < packed.size(); ++i) {
            tested_->linear(x.data(), *packed[i], y.data(), y_dtype, s.rows, dtype, stream_);
            expect_product(x, weights[i], layout, s, y);
          }
        }
      }
    }
  }
}

// Halves of the sums are beyond f16's largest number, the sums are whole numbers: no rounding.
TEST_F(LinearTest, PartsOfSumsMayExceedTheType) {
  if (!tests_cuda()) GTEST_SKIP() << "of the GPU, which may split sums";
  const std::int64_t in = 8192, out = 64;
  Tensor weight(out * in, DType::f16);
  for (std::int64_t i = 0; i < out * in; ++i) weight.set(i, i % in < in / 2 ? 1.0F : -1.0F);
  for (std::int64_t o = 0; o < out; ++o) weight.set(o * in, 1 + static_cast<float>(o) / 64);
  const auto packed = tested_->pack(weight.data(), WeightLayout::out_in, out, in, 1, DType::f16);
  for (const std::int64_t rows : {1, 8, 130}) {
    Tensor x(rows * in, DType::f16), y(rows * out, DType::f16), expected = y;
    for (std::int64_t i = 0; i < rows * in; ++i) x.set(i, 128);
    for (std::int64_t i = 0; i < rows * out; ++i) expected.set(i, static_cast<float>(2 * (i % out)));
    tested_->linear(x.data(), *packed, y.data(), DType::f16, rows, DType::f16, stream_);
    EXPECT_EQ(y, expected) << rows << " rows";
  }
}

TEST_F(LinearTest, NoRowsTouchNothing) {
  const Tensor weight = Tensor::random(64, DType::f32, random_);
  const auto packed = tested_->pack(weight.data(), WeightLayout::out_in, 8, 8, 1, DType::f32);
  tested_->linear(nullptr, *packed, nullptr, DType::f32, 0, DType::f32, stream_);
}

TEST_F(LinearTest, PackedWeightsAreCountedAsHostMemory) {
  if (tests_cuda()) GTEST_SKIP() << "the GPU's weights stand in its own memory";
  const std::size_t before = host_memory_used();
  const Tensor weight = Tensor::random(64 * 64, DType::f32, random_);
  auto packed = tested_->pack(weight.data(), WeightLayout::out_in, 64, 64, 1, DType::f32);
  EXPECT_EQ(host_memory_used(), before + packed->bytes());
  packed.reset();
  EXPECT_EQ(host_memory_used(), before);
}

}  // namespace
}  // namespace hydrajob::test
