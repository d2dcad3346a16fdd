#include <vector>

#include "kernels/tensor.hpp"

namespace hydrajob::test {
namespace {

class RmsNormTest : public KernelTest {};

TEST_F(RmsNormTest, ReferenceAddsThenNormalises) {
  std::vector<float> residual{1, 2};
  const std::vector<float> delta{2, 2}, weight{1, 10};
  std::vector<float> out(2);
  PartialSums added;
  added.parts[0] = delta.data();
  added.n = 1;
  // (3, 4): mean square 12.5; with eps 3.5 the root is 4.
  reference_->add_rmsnorm(residual.data(), added, weight.data(), out.data(), 1, 2, 3.5f, DType::f32, stream_);
  EXPECT_EQ(residual, (std::vector<float>{3, 4}));
  EXPECT_EQ(out, (std::vector<float>{0.75f, 10.0f}));
}

TEST_F(RmsNormTest, ReferenceWithoutDeltaKeepsTheResidual) {
  std::vector<float> residual{3, -4};
  const std::vector<float> weight{1, 1};
  std::vector<float> out(2);
  reference_->add_rmsnorm(residual.data(), {}, weight.data(), out.data(), 1, 2, 3.5f, DType::f32, stream_);
  EXPECT_EQ(residual, (std::vector<float>{3, -4}));
  EXPECT_EQ(out, (std::vector<float>{0.75f, -1.0f}));
}

TEST_F(RmsNormTest, MatchesReference) {
  for (const DType dtype : every_dtype) {
    for (const std::int64_t hidden : {1, 16, 25, 65, 2048, 5001}) {
      for (const auto& [n, part_dtype] :
           {std::pair{0, DType::f32}, {1, DType::f32}, {1, dtype}, {2, dtype}, {8, dtype}}) {
        const std::int64_t rows = 13;
        const Tensor start = Tensor::random(rows * hidden, DType::f32, random_, 3);
        std::vector<Tensor> parts;
        PartialSums added;
        added.n = n;
        added.dtype = part_dtype;
        for (int p = 0; p < n; ++p) parts.push_back(Tensor::random(rows * hidden, part_dtype, random_));
        for (int p = 0; p < n; ++p) added.parts[p] = parts[static_cast<std::size_t>(p)].data();
        const Tensor weight = Tensor::random(hidden, dtype, random_);
        Tensor actual_residual = start, expected_residual = start;
        Tensor actual(rows * hidden, dtype), expected(rows * hidden, dtype);
        tested_->add_rmsnorm(actual_residual.floats(), added, weight.data(), actual.data(), rows, hidden,
                             1e-5f, dtype, stream_);
        reference_->add_rmsnorm(expected_residual.floats(), added, weight.data(), expected.data(), rows,
                                hidden, 1e-5f, dtype, stream_);
        EXPECT_EQ(actual_residual, expected_residual);
        expect_near(actual, expected, 1e-7,
                    "hidden " + std::to_string(hidden) + ", parts " + std::to_string(n));
      }
    }
  }
}

}  // namespace
}  // namespace hydrajob::test
