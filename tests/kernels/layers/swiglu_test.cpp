#include <limits>
#include <vector>

#include "kernels/tensor.hpp"

namespace hydrajob::test {
namespace {

class SwigluTest : public KernelTest {};

TEST_F(SwigluTest, ReferenceGatesUp) {
  const std::vector<float> gate_up{0, 100, 5, 7};  // gate (0, 100), up (5, 7)
  std::vector<float> out(2);
  reference_->swiglu(gate_up.data(), out.data(), 1, 2, DType::f32, stream_);
  EXPECT_EQ(out, (std::vector<float>{0, 700}));
}

TEST_F(SwigluTest, MatchesReference) {
  for (const DType dtype : every_dtype) {
    for (const std::int64_t rows : {1, 2, 17}) {
      for (const std::int64_t width : {1, 25, 65, 1025, 5632}) {
        const Tensor gate_up = Tensor::random(rows * 2 * width, dtype, random_, 4);
        Tensor actual(rows * width, dtype), expected(rows * width, dtype);
        tested_->swiglu(gate_up.data(), actual.data(), rows, width, dtype, stream_);
        reference_->swiglu(gate_up.data(), expected.data(), rows, width, dtype, stream_);
        expect_near(actual, expected, 1e-7, "width " + std::to_string(width));
      }
    }
  }
}

TEST_F(SwigluTest, ExtremeGatesStayFiniteAndNanStaysNan) {
  constexpr float nan = std::numeric_limits<float>::quiet_NaN();
  const std::vector<float> gates{-1e30f, -1000, -100, -87, -20, 0, 20, 87, 100, 1000, 1e30f, nan};
  const auto width = static_cast<std::int64_t>(gates.size());
  std::vector<float> gate_up(gates);
  gate_up.resize(gates.size() * 2, 1.0f);
  std::vector<float> actual(gates.size()), expected(gates.size());
  tested_->swiglu(gate_up.data(), actual.data(), 1, width, DType::f32, stream_);
  reference_->swiglu(gate_up.data(), expected.data(), 1, width, DType::f32, stream_);
  for (std::size_t i = 0; i + 1 < gates.size(); ++i) {
    EXPECT_NEAR(actual[i], expected[i], 1e-6 * std::abs(expected[i]) + 1e-6) << gates[i];
  }
  EXPECT_TRUE(std::isnan(actual.back()));
}

}  // namespace
}  // namespace hydrajob::test
