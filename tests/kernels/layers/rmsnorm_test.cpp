#include <vector>

#include "kernels/tensor.hpp"

namespace hydrajob::test {
namespace {

class RmsNormTest : public KernelTest {};

TEST_F(RmsNormTest, ReferenceAddsThenNormalises) {
  std::vector<float> residual{1, 2};
  const std::vector<float> delta{2, 2}, weight{1, 10};
  std::vector<float> out(2);
  // (3, 4): mean square 12.5; with eps 3.5 the root is 4.
  reference_->add_rmsnorm(residual.data(), delta.data(), weight.data(), out.data(), 1, 2, 3.5f, DType::f32,
                          stream_);
  EXPECT_EQ(residual, (std::vector<float>{3, 4}));
  EXPECT_EQ(out, (std::vector<float>{0.75f, 10.0f}));
}

TEST_F(RmsNormTest, ReferenceWithoutDeltaKeepsTheResidual) {
  std::vector<float> residual{3, -4};
  const std::vector<float> weight{1, 1};
  std::vector<float> out(2);
  reference_->add_rmsnorm(residual.data(), nullptr, weight.data(), out.data(), 1, 2, 3.5f, DType::f32,
                          stream_);
  EXPECT_EQ(residual, (std::vector<float>{3, -4}));
  EXPECT_EQ(out, (std::vector<float>{0.75f, -1.0f}));
}

TEST_F(RmsNormTest, MatchesReference) {
  for (const DType dtype : {DType::f32, DType::bf16}) {
    for (const std::int64_t hidden : {1, 16, 25, 65, 2048, 5001}) {
      for (const bool with_delta : {true, false}) {
        const std::int64_t rows = 13;
        const Tensor start = Tensor::random(rows * hidden, DType::f32, random_, 3);
        Tensor delta = Tensor::random(rows * hidden, DType::f32, random_);
        const Tensor weight = Tensor::random(hidden, dtype, random_);
        Tensor actual_residual = start, expected_residual = start;
        Tensor actual(rows * hidden, dtype), expected(rows * hidden, dtype);
        const float* added = with_delta ? delta.floats() : nullptr;
        tested_->add_rmsnorm(actual_residual.floats(), added, weight.data(), actual.data(), rows, hidden,
                             1e-5f, dtype, stream_);
        reference_->add_rmsnorm(expected_residual.floats(), added, weight.data(), expected.data(), rows,
                                hidden, 1e-5f, dtype, stream_);
        EXPECT_EQ(actual_residual, expected_residual);
        expect_near(actual, expected, 1e-7, "hidden " + std::to_string(hidden));
      }
    }
  }
}

}  // namespace
}  // namespace hydrajob::test
