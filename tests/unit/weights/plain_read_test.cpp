// Where a file holds what a rank loads, and reading that alone.
#include "weights/plain_read.hpp"

#include <filesystem>
#include <fstream>
#include <string>

#include <gtest/gtest.h>

#include "base/file.hpp"
#include "unit/base/temporary_folder.hpp"
#include "unit/config/failure.hpp"
#include "unit/weights/models.hpp"

namespace hydrajob {
namespace {

class PlainRead : public ::testing::Test {
 protected:
  // What the ranges hold, one tensor behind the other, is what the source reads.
  void expect_holds_shard(int rank, int degree) const {
    const ShardRanges shard = shard_ranges(path_, rank, degree);
    const auto source = open_model_file(path_, 2, rank, degree);
    const std::string bytes = read_file(shard.file);
    const auto tensors = tensors_of(model_);
    ASSERT_EQ(shard.ranges.size(), tensors.size());
    std::size_t sum = 0;
    for (std::size_t i = 0; i < tensors.size(); ++i) {
      const auto [offset, n] = shard.ranges[i];
      const RowRange rows = shard_of(tensors[i], model_, rank, degree);
      const test::Bytes expected = test::read_rows(*source, tensors[i], rows, DType::bf16);
      const auto* held = reinterpret_cast<const std::byte*>(bytes.data() + offset);
      EXPECT_EQ(test::Bytes(held, held + n), expected) << tensors[i].name;
      sum += n;
    }
    EXPECT_EQ(shard.bytes, sum);
    EXPECT_EQ(shard.dtype, DType::bf16);
    read_plainly(shard, 3, 5000);
  }

  void write(int split) {
    WriteOptions options;
    options.split = split;
    write_model_file(path_, *make_random_weights(model_, 1, 2), DType::bf16, options);
  }

  Architecture model_ = test::grouped_model();
  test::TemporaryFolder folder_;
  std::filesystem::path path_ = folder_.path() / "model.h5";
};

TEST_F(PlainRead, IsOfTheRanksShard) {
  write(0);
  for (const int degree : {1, 2, 4}) {
    for (int rank = 0; rank < degree; ++rank) expect_holds_shard(rank, degree);
  }
}

TEST_F(PlainRead, IsOfTheRanksPartOfASplitModel) {
  write(4);
  for (int rank = 0; rank < 4; ++rank) expect_holds_shard(rank, 4);
}

TEST_F(PlainRead, OfAFileThatBecameShorterIsRefused) {
  write(0);
  const ShardRanges shard = shard_ranges(path_, 0, 1);
  std::filesystem::resize_file(path_, std::filesystem::file_size(path_) - 1);
  EXPECT_EQ(failure([&] { read_plainly(shard, 2, 1 << 20); }),
            path_.string() + ": cannot be read to its end");
}

}  // namespace
}  // namespace hydrajob
