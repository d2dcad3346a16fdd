// A split model gives each rank of its degree what the whole gives it, and says what it is otherwise.
#include <filesystem>

#include <fmt/format.h>
#include <gtest/gtest.h>

#include "unit/base/temporary_folder.hpp"
#include "unit/config/failure.hpp"
#include "unit/weights/models.hpp"

namespace hydrajob {
namespace {

namespace fs = std::filesystem;
using test::grouped_model;
using test::odd_model;
using test::read_rows;

class SplitModel : public ::testing::Test {
 protected:
  fs::path write(const Architecture& a, int degree, std::uint64_t seed = 1, DType dtype = DType::bf16) {
    const fs::path path = folder_.path() / fmt::format("{}-{}-{}", a.name, degree, seed);
    fs::remove_all(path);
    WriteOptions options;
    options.split = degree;
    write_model_file(path, *make_random_weights(a, seed, 1), dtype, options);
    return path;
  }

  test::TemporaryFolder folder_;
};

void expect_same(WeightSource& part, WeightSource& whole, int rank, int degree) {
  const Architecture& a = whole.architecture();
  for (const TensorInfo& tensor : tensors_of(a)) {
    const RowRange rows = shard_of(tensor, a, rank, degree);
    ASSERT_EQ(read_rows(part, tensor, rows, DType::bf16), read_rows(whole, tensor, rows, DType::bf16))
        << tensor.name << " rank " << rank << " of " << degree;
    if (const auto view = part.view({{tensor, rows}}, DType::bf16)) {
      const auto* bytes = static_cast<const std::byte*>(view->data());
      const test::Bytes expected = read_rows(whole, tensor, rows, DType::bf16);
      ASSERT_TRUE(std::equal(expected.begin(), expected.end(), bytes)) << tensor.name << " as a view";
    }
  }
}

TEST_F(SplitModel, GivesEveryRankItsShards) {
  for (const auto& [a, degrees] :
       {std::pair{grouped_model(), std::vector{1, 2, 4, 8}}, std::pair{odd_model(), std::vector{3, 5}}}) {
    const fs::path whole_path = folder_.path() / "whole.h5";
    write_model_file(whole_path, *make_random_weights(a, 1, 1), DType::bf16);
    const auto whole = open_model_file(whole_path, 2);
    for (const int degree : degrees) {
      const fs::path path = write(a, degree);
      EXPECT_EQ(std::distance(fs::directory_iterator(path), {}), degree);
      for (int rank = 0; rank < degree; ++rank) {
        const auto part = open_model_file(path, 2, rank, degree);
        EXPECT_EQ(part->digest(), whole->digest()) << "a run is the same whichever it reads";
        EXPECT_EQ(part->architecture(), a);
        expect_same(*part, *whole, rank, degree);
      }
    }
  }
}

TEST_F(SplitModel, IsDescribed) {
  const fs::path path = write(grouped_model(), 4);
  const ModelDescription model = describe_model(path);
  EXPECT_EQ(model.architecture, grouped_model());
  EXPECT_EQ(model.split, 4);
  EXPECT_EQ(model.digest, open_model_file(path, 1, 3, 4)->digest());
  EXPECT_EQ(read_model_text(path).generation, GenerationDefaults{});
}

TEST_F(SplitModel, SaysWhatItIsNot) {
  const fs::path path = write(grouped_model(), 4);
  const std::string place = path.string();
  EXPECT_EQ(failure([&] { open_model_file(path, 1, 0, 2); }),
            place + ": is split for tensor_parallel 4, not 2");
  EXPECT_EQ(failure([&] { open_model_file(path / "rank1.h5", 1); }),
            place + "/rank1.h5: is the part of rank 1 of 4, expected the folder that it is in");
  EXPECT_EQ(failure([&] {
              write(grouped_model(), 0, 2);
              fs::copy(folder_.path() / "grouped-0-2", path / "rank0.h5",
                       fs::copy_options::overwrite_existing);
              describe_model(path);
            }),
            place + "/rank0.h5: holds a whole model, expected the part of rank 0");
}

TEST_F(SplitModel, NeedsAllItsPartsOfOneModel) {
  const fs::path path = write(grouped_model(), 4), other = write(grouped_model(), 4, 2);
  const std::string place = path.string();
  fs::copy(other / "rank2.h5", path / "rank2.h5", fs::copy_options::overwrite_existing);
  EXPECT_EQ(failure([&] { open_model_file(path, 1, 2, 4); }),
            place + ": rank0.h5 and rank2.h5 are of different models");
  fs::rename(path / "rank3.h5", path / "rank2.h5");
  EXPECT_EQ(failure([&] { open_model_file(path, 1, 2, 4); }),
            place + "/rank2.h5: holds the part of rank 3, expected the part of rank 2");
  EXPECT_EQ(failure([&] { describe_model(path); }),
            place + ": rank3.h5 is missing, expected one for each of 4 ranks");
}

TEST_F(SplitModel, IsWrittenToANewFolder) {
  const fs::path path = write(grouped_model(), 2);
  WriteOptions options;
  options.split = 2;
  EXPECT_EQ(failure([&] {
              write_model_file(path, *make_random_weights(grouped_model(), 1, 1), DType::bf16, options);
            }),
            path.string() + ": is there already, expected the name of a new folder");
}

}  // namespace
}  // namespace hydrajob
