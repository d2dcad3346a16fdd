#include <vector>

#include "kernels/tensor.hpp"

namespace hydrajob::test {
namespace {

class EmbedTest : public KernelTest {};

TEST_F(EmbedTest, ReferenceTakesRowsOfItsShardAndZeroesOthers) {
  const std::vector<float> table{1, 2, 3, 4};  // ids 10 and 11, hidden 2
  const std::vector<std::int32_t> ids{11, 9, 10, 12};
  std::vector<float> residual(8, -1);
  reference_->embed(ids.data(), table.data(), 10, 2, residual.data(), 4, 2, DType::f32, stream_);
  EXPECT_EQ(residual, (std::vector<float>{3, 4, 0, 0, 1, 2, 0, 0}));
}

TEST_F(EmbedTest, MatchesReferenceExactly) {
  for (const DType dtype : every_dtype) {
    for (const std::int64_t hidden : {1, 15, 16, 25, 65, 288}) {
      const std::int64_t rows = 37, first = 100, count = 50;
      const Tensor table = Tensor::random(count * hidden, dtype, random_);
      std::vector<std::int32_t> ids(rows);
      for (auto& id : ids) id = std::uniform_int_distribution<std::int32_t>(80, 170)(random_);
      Tensor actual(rows * hidden, DType::f32), expected(rows * hidden, DType::f32);
      tested_->embed(ids.data(), table.data(), first, count, actual.floats(), rows, hidden, dtype, stream_);
      reference_->embed(ids.data(), table.data(), first, count, expected.floats(), rows, hidden, dtype,
                        stream_);
      EXPECT_EQ(actual, expected) << "hidden " << hidden;
    }
  }
}

}  // namespace
}  // namespace hydrajob::test
