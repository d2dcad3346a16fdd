// Weights that are mapped: the same bytes as those that are read, or none; damage and truncation are found.
#include <cstring>
#include <filesystem>
#include <fstream>
#include <string>

#include <fmt/format.h>
#include <gtest/gtest.h>

#include "base/file.hpp"
#include "unit/base/temporary_folder.hpp"
#include "unit/config/failure.hpp"
#include "unit/weights/models.hpp"
#include "weights/model_metadata.hpp"

namespace hydrajob {
namespace {

using test::Bytes;
using test::find_tensor;
using test::wide_model;

class View : public ::testing::Test {
 protected:
  View() { write_model_file(path_, *make_random_weights(model_, 1, 2), DType::bf16); }

  std::vector<WeightRows> shards(const std::vector<std::string>& names, int rank, int degree) const {
    std::vector<WeightRows> parts;
    for (const auto& name : names) {
      const TensorInfo tensor = find_tensor(model_, name);
      parts.push_back({tensor, shard_of(tensor, model_, rank, degree)});
    }
    return parts;
  }

  static Bytes read_all(WeightSource& source, const std::vector<WeightRows>& parts) {
    Bytes all;
    for (const auto& [tensor, rows] : parts) {
      const Bytes part = test::read_rows(source, tensor, rows, DType::bf16);
      all.insert(all.end(), part.begin(), part.end());
    }
    return all;
  }

  static bool holds(const WeightView& view, const Bytes& bytes) {
    return std::memcmp(view.data(), bytes.data(), bytes.size()) == 0;
  }

  Architecture model_ = wide_model();
  test::TemporaryFolder folder_;
  std::filesystem::path path_ = folder_.path() / "model.h5";
};

TEST_F(View, HoldsWhatIsReadAlsoOfSeveralShards) {
  const auto file = open_model_file(path_, 3);
  for (const int degree : {1, 2}) {  // of 1000 rows of half a page, a degree of 4 leaves halves of pages
    for (int rank = 0; rank < degree; ++rank) {
      const auto parts = shards({"layers.0.mlp.gate", "layers.0.mlp.up"}, rank, degree);
      const auto view = file->view(parts, DType::bf16);
      ASSERT_NE(view, nullptr) << rank << " of " << degree;
      EXPECT_TRUE(holds(*view, read_all(*file, parts)));
    }
  }
  const auto q = file->view(shards({"layers.0.attention.q"}, 3, 8), DType::bf16);
  ASSERT_NE(q, nullptr);
  EXPECT_TRUE(holds(*q, read_all(*file, shards({"layers.0.attention.q"}, 3, 8))));
}

TEST_F(View, IsNoneWhereTheFileHoldsThemOtherwise) {
  const auto file = open_model_file(path_, 2);
  EXPECT_EQ(file->view(shards({"embedding"}, 0, 1), DType::f32), nullptr);
  const TensorInfo gate = find_tensor(model_, "layers.0.mlp.gate");
  EXPECT_EQ(file->view({{gate, {0, 1}}}, DType::bf16), nullptr) << "part of a checksum's rows";
  EXPECT_EQ(file->view(shards({"layers.0.mlp.gate"}, 1, 64), DType::bf16), nullptr) << "not at a page";
  EXPECT_EQ(file->view({}, DType::bf16), nullptr);
  EXPECT_EQ(make_random_weights(model_, 1, 1)->view(shards({"embedding"}, 0, 1), DType::bf16), nullptr);
}

TEST_F(View, OfADamagedTensorIsRefused) {
  std::string bytes = read_file(path_);
  const auto entries = weights::read_model_metadata(path_.string()).tensors;
  for (const auto& entry : entries) {
    if (entry.info.name == "layers.0.mlp.up") bytes[entry.offset + 2048 * 999] ^= 1;  // its last row
  }
  std::ofstream(path_, std::ios::binary | std::ios::trunc) << bytes;
  const auto file = open_model_file(path_, 2);
  EXPECT_EQ(
      failure([&] {
        file->view(shards({"layers.0.mlp.gate", "layers.0.mlp.up"}, 0, 1), DType::bf16);
      }),
      path_.string() + ": tensor 'layers.0.mlp.up' is damaged: rows 984 to 999 do not match their checksum");
  EXPECT_NE(file->view(shards({"layers.0.mlp.gate", "layers.0.mlp.up"}, 0, 2), DType::bf16), nullptr);
}

// Touching such a page would end the process.
TEST_F(View, OfAFileThatBecameShorterIsRefused) {
  const auto file = open_model_file(path_, 2);
  std::filesystem::resize_file(path_, 8192);
  EXPECT_EQ(
      failure([&] { file->view(shards({"lm_head"}, 0, 1), DType::bf16); }),
      path_.string() + ": tensor 'lm_head' cannot be read: the file became shorter, or its storage fails");
}

TEST_F(View, IsTheSameWhateverIsExpected) {
  for (const bool all : {true, false}) {
    const auto file = open_model_file(path_, 2);
    std::vector<WeightRows> parts;
    for (const TensorInfo& tensor : tensors_of(model_)) parts.push_back({tensor, {0, tensor.rows}});
    file->expect(parts);
    if (!all) parts.resize(2);  // the rest is given up with the file
    for (const WeightRows& part : parts) {
      const auto view = file->view({part}, DType::bf16);
      const Bytes read = read_all(*file, {part});
      EXPECT_EQ(read, read_all(*make_random_weights(model_, 1, 1), {part})) << part.tensor.name;
      const bool small = part.tensor.rows == 1;  // stands in a gap between pages
      ASSERT_TRUE(view != nullptr || small) << part.tensor.name;
      EXPECT_TRUE(!view || holds(*view, read)) << part.tensor.name;
    }
  }
}

}  // namespace
}  // namespace hydrajob
