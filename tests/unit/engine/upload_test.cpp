// What several threads read through a few slots arrives whole on a device that copies as late as it may; what
// fails on the way ends all of it.
#include "engine/upload.hpp"

#include <filesystem>
#include <fstream>
#include <random>
#include <string>
#include <vector>

#include <fmt/format.h>
#include <gtest/gtest.h>

#include "base/bf16.hpp"
#include "unit/base/temporary_folder.hpp"
#include "unit/config/failure.hpp"
#include "unit/engine/late_device.hpp"
#include "unit/weights/models.hpp"
#include "weights/convert.hpp"
#include "weights/model_metadata.hpp"

namespace hydrajob {
namespace {

using test::Bytes;

// The ranges of the model's matrices are longer than a slot, and its tensors than all slots together.
constexpr std::size_t slot_bytes = 16 * 1024;

class Upload : public ::testing::Test {
 protected:
  struct Target {
    WeightRows rows;
    std::unique_ptr<Buffer> buffer;
  };

  void write(const Architecture& architecture, DType dtype, int split = 0) {
    model_ = architecture;
    WriteOptions options;
    options.split = split;
    write_model_file(path_, *make_random_weights(model_, 5, 2), dtype, options);
  }

  // A rank's shard of the file, on the device.
  std::vector<Target> upload_shard(DType dtype, int rank = 0, int degree = 1, int threads = 3) {
    const auto source = open_model_file(path_, threads, rank, degree);
    std::vector<Target> targets;
    std::vector<UploadPart> parts;
    for (const TensorInfo& tensor : tensors_of(model_)) {
      const WeightRows rows{tensor, shard_of(tensor, model_, rank, degree)};
      const auto bytes = static_cast<std::size_t>(rows.rows.count() * tensor.cols) * size_of(dtype);
      targets.push_back({rows, device_.allocate(bytes)});
      parts.push_back({rows, targets.back().buffer->data()});
    }
    const auto staging = allocate_upload_staging(*source, device_, slot_bytes);
    upload(*source, parts, dtype, device_, *staging, slot_bytes);
    return targets;
  }

  void expect_right(const std::vector<Target>& targets, DType dtype, DType stored) const {
    const auto truth = make_random_weights(model_, 5, 2);
    for (const auto& [rows, buffer] : targets) {
      Bytes expected = test::read_rows(*truth, rows.tensor, rows.rows, stored);
      if (dtype != stored) {
        const std::int64_t n = rows.rows.count() * rows.tensor.cols;
        Bytes converted(static_cast<std::size_t>(n) * size_of(dtype));
        convert(expected.data(), stored, converted.data(), dtype, n);
        expected = std::move(converted);
      }
      const auto* got = buffer->as<std::byte>();
      EXPECT_EQ(Bytes(got, got + buffer->bytes()), expected) << rows.tensor.name;
    }
  }

  void flip_byte_of(const std::string& tensor, std::size_t at) {
    for (const auto& entry : weights::read_model_metadata(path_.string()).tensors) {
      if (entry.info.name != tensor) continue;
      std::fstream file(path_, std::ios::binary | std::ios::in | std::ios::out);
      file.seekg(static_cast<std::streamoff>(entry.offset + at));
      const char byte = static_cast<char>(file.get() ^ 1);
      file.seekp(static_cast<std::streamoff>(entry.offset + at));
      file.put(byte);
    }
  }

  Architecture model_;
  test::TemporaryFolder folder_;
  std::filesystem::path path_ = folder_.path() / "model.h5";
  test::LateDevice device_;
};

TEST_F(Upload, BringsAllOfItThroughFewSlots) {
  write(test::wide_model(), DType::bf16);
  expect_right(upload_shard(DType::bf16), DType::bf16, DType::bf16);
  EXPECT_EQ(device_.waiting, 0u);
  EXPECT_EQ(device_.staging_bytes, 3 * 3 * slot_bytes);
  EXPECT_GT(device_.copies, 4 * 9u);
  EXPECT_EQ(device_.most_waiting, 3u) << "what a reader waits for is not all that it has begun";
}

TEST_F(Upload, ConvertsToTheTypeThatIsAskedFor) {
  write(test::wide_model(), DType::bf16);
  expect_right(upload_shard(DType::f32), DType::f32, DType::bf16);
  expect_right(upload_shard(DType::f16), DType::f16, DType::bf16);
  write(test::wide_model(), DType::f16);
  expect_right(upload_shard(DType::f16), DType::f16, DType::f16);
  expect_right(upload_shard(DType::bf16), DType::bf16, DType::f16);
}

// Shards that begin and end within checksum ranges, KV heads that two ranks share.
TEST_F(Upload, BringsEveryRankItsShard) {
  write(test::grouped_model(), DType::f32);
  for (const int degree : {2, 4, 8}) {
    for (int rank = 0; rank < degree; ++rank) {
      SCOPED_TRACE(fmt::format("rank {} of {}", rank, degree));
      expect_right(upload_shard(DType::f32, rank, degree), DType::f32, DType::f32);
    }
  }
}

TEST_F(Upload, BringsEveryRankItsPartOfASplitModel) {
  write(test::grouped_model(), DType::bf16, 4);
  for (int rank = 0; rank < 4; ++rank)
    expect_right(upload_shard(DType::bf16, rank, 4), DType::bf16, DType::bf16);
}

TEST_F(Upload, OfADamagedFileIsRefusedAsReadingIsWithTheFirstThatIsDamaged) {
  const unsigned seed = std::random_device{}();
  SCOPED_TRACE(fmt::format("seed {}", seed));
  std::mt19937 random(seed);
  write(test::wide_model(), DType::bf16);
  flip_byte_of("lm_head", random() % 1000000);
  flip_byte_of("layers.0.mlp.up", 1000 * 2048 - 1 - random() % (15 * 2048));  // the last of its ranges
  const auto source = open_model_file(path_, 1);
  const TensorInfo up = test::find_tensor(model_, "layers.0.mlp.up");
  const std::string told = failure([&] { test::read_whole(*source, up, DType::bf16); });
  EXPECT_EQ(told, path_.string() +
                      ": tensor 'layers.0.mlp.up' is damaged: rows 984 to 999 do not match "
                      "their checksum");
  EXPECT_EQ(failure([&] { upload_shard(DType::bf16); }), told);
  EXPECT_EQ(device_.waiting, 0u) << "what was copied from is gone";
}

TEST_F(Upload, OfAFileThatBecameShorterIsRefused) {
  write(test::wide_model(), DType::bf16);
  const auto source = open_model_file(path_, 3);
  UploadPart part;
  part.rows = {test::find_tensor(model_, "embedding"), {0, model_.vocab}};
  const auto target = device_.allocate(static_cast<std::size_t>(model_.vocab * model_.hidden) * sizeof(Bf16));
  part.target = target->data();
  const auto staging = allocate_upload_staging(*source, device_, slot_bytes);
  std::filesystem::resize_file(path_, 100000);
  const std::vector<UploadPart> parts(1, part);
  EXPECT_EQ(failure([&] { upload(*source, parts, DType::bf16, device_, *staging, slot_bytes); }),
            path_.string() + ": tensor 'embedding' is cut: the file became shorter");
}

// In the first copy of all, in the next, in one of many.
TEST_F(Upload, EndsWhenTheDeviceFails) {
  write(test::wide_model(), DType::bf16);
  for (const std::size_t after : {0u, 1u, 9u}) {
    device_.copies_until_failure = device_.copies + after;
    EXPECT_THROW(upload_shard(DType::bf16), RunError) << "after " << after;
  }
}

TEST_F(Upload, HasNoStagingMemoryWhereNothingIsGained) {
  write(test::grouped_model(), DType::bf16);
  EXPECT_EQ(allocate_upload_staging(*make_random_weights(model_, 1, 1), device_), nullptr);
  EXPECT_EQ(allocate_upload_staging(*open_model_file(path_, 2), *make_device({})), nullptr);
}

}  // namespace
}  // namespace hydrajob
