// A model file gives back what was written, to any rank of any degree and in any type; writing it is all
// or nothing.
#include <cmath>
#include <csignal>
#include <cstring>
#include <filesystem>
#include <fstream>
#include <limits>
#include <sys/resource.h>
#include <utility>
#include <vector>

#include <gtest/gtest.h>

#include "base/bf16.hpp"
#include "base/error.hpp"
#include "base/f16.hpp"
#include "base/file.hpp"
#include "unit/base/nobody.hpp"
#include "unit/base/temporary_folder.hpp"
#include "unit/config/failure.hpp"
#include "unit/weights/models.hpp"
#include "weights/convert.hpp"

namespace hydrajob {
namespace {

using test::Bytes;
using test::find_tensor;
using test::grouped_model;
using test::odd_model;
using test::read_rows;
using test::read_whole;
using test::wide_model;

class ModelFile : public ::testing::Test {
 protected:
  std::filesystem::path write(const Architecture& a, DType dtype, std::uint64_t seed = 1) {
    const auto path = folder_.path() / (a.name + ".h5");
    write_model_file(path, *make_random_weights(a, seed, 2), dtype);
    return path;
  }

  std::size_t files() const {
    return static_cast<std::size_t>(std::distance(std::filesystem::directory_iterator(folder_.path()), {}));
  }

  test::TemporaryFolder folder_;
};

TEST_F(ModelFile, SaysWhatItHolds) {
  Architecture a = grouped_model();
  a.rope_theta = 500000;
  a.rope_scaling.kind = RopeScaling::Kind::llama3;
  a.rope_scaling.factor = 8;
  const auto source = open_model_file(write(a, DType::bf16), 2);
  EXPECT_EQ(source->architecture(), a);
  EXPECT_EQ(source->digest().size(), 32u);
}

TEST_F(ModelFile, GivesBackEveryTensor) {
  for (const Architecture& a : {grouped_model(), odd_model(), wide_model()}) {
    for (const DType dtype : every_dtype) {
      const auto file = open_model_file(write(a, dtype), 2);
      const auto source = make_random_weights(a, 1, 1);
      for (const TensorInfo& tensor : tensors_of(a))
        EXPECT_EQ(read_whole(*file, tensor, dtype), read_whole(*source, tensor, dtype))
            << a.name << tensor.name;
    }
  }
}

void expect_shards(const Architecture& a, WeightSource& file, int degree, DType dtype) {
  for (const TensorInfo& tensor : tensors_of(a)) {
    const Bytes whole = read_whole(file, tensor, dtype);
    const std::size_t row = static_cast<std::size_t>(tensor.cols) * size_of(dtype);
    Bytes joined;
    for (int rank = 0; rank < degree; ++rank) {
      const RowRange rows = shard_of(tensor, a, rank, degree);
      const Bytes part = read_rows(file, tensor, rows, dtype);
      const auto begin =
          whole.begin() + static_cast<std::ptrdiff_t>(static_cast<std::size_t>(rows.begin) * row);
      ASSERT_TRUE(std::equal(part.begin(), part.end(), begin))
          << tensor.name << " rank " << rank << " of " << degree;
      joined.insert(joined.end(), part.begin(), part.end());
    }
    if (tensor.split == Split::rows) {
      EXPECT_EQ(joined, whole) << tensor.name << " of " << degree;
    }
  }
}

TEST_F(ModelFile, GivesEveryRankItsShards) {
  using enum DType;
  for (const auto& [stored, wanted] :
       {std::pair{bf16, bf16}, {bf16, f32}, {f32, bf16}, {f32, f32}, {f16, f16}, {bf16, f16}}) {
    const auto grouped = open_model_file(write(grouped_model(), stored), 3);
    for (const int degree : {1, 2, 4, 8}) expect_shards(grouped_model(), *grouped, degree, wanted);
    const auto odd = open_model_file(write(odd_model(), stored), 3);
    for (const int degree : {1, 3, 5}) expect_shards(odd_model(), *odd, degree, wanted);
    const auto wide = open_model_file(write(wide_model(), stored), 2);
    for (const int degree : {2, 8}) expect_shards(wide_model(), *wide, degree, wanted);
  }
}

// bits: of T's significand, the leading one too.
template <class T>
void expect_conversions(WeightSource& of_f32, WeightSource& narrow, const TensorInfo& tensor, DType dtype,
                        int bits) {
  const Bytes exact = read_whole(of_f32, tensor, DType::f32);
  const Bytes rounded = read_whole(of_f32, tensor, dtype);
  const Bytes widened = read_whole(narrow, tensor, DType::f32);
  for (std::size_t i = 0; i < rounded.size() / 2; ++i) {
    float value = 0;
    float wide = 0;
    T rounded_value;
    std::memcpy(&value, exact.data() + 4 * i, 4);
    std::memcpy(&wide, widened.data() + 4 * i, 4);
    std::memcpy(&rounded_value, rounded.data() + 2 * i, 2);
    ASSERT_EQ(static_cast<float>(rounded_value), wide) << i;  // the writer rounded as the reader did
    const double step = std::ldexp(1.0, std::max(std::ilogb(value), -14) - bits + 1);
    ASSERT_LE(std::abs(static_cast<double>(wide) - value), step / 2) << i;
  }
}

TEST_F(ModelFile, ConvertsExactlyToF32AndRoundsToTheOthers) {
  const Architecture a = grouped_model();
  const TensorInfo tensor = find_tensor(a, "embedding");
  const auto wide = open_model_file(write(a, DType::f32), 2);
  const auto bf16 = open_model_file(write(a, DType::bf16), 2);
  const auto f16 = open_model_file(write(a, DType::f16), 2);
  expect_conversions<Bf16>(*wide, *bf16, tensor, DType::bf16, 8);
  expect_conversions<F16>(*wide, *f16, tensor, DType::f16, 11);
}

// f16 has more bits than bf16, and less range.
TEST_F(ModelFile, ConvertsTheShortTypesIntoEachOtherThroughF32) {
  const Architecture a = grouped_model();
  const TensorInfo tensor = find_tensor(a, "embedding");
  for (const auto& [stored, wanted] : {std::pair{DType::bf16, DType::f16}, {DType::f16, DType::bf16}}) {
    const auto file = open_model_file(write(a, stored), 2);
    const Bytes wide = read_whole(*file, tensor, DType::f32);
    const Bytes converted = read_whole(*file, tensor, wanted);
    for (std::size_t i = 0; i < converted.size() / 2; ++i) {
      float value = 0;
      std::uint16_t bits = 0;
      std::memcpy(&value, wide.data() + 4 * i, 4);
      std::memcpy(&bits, converted.data() + 2 * i, 2);
      ASSERT_EQ(bits, wanted == DType::f16 ? F16(value).bits : Bf16(value).bits) << value;
    }
  }
}

// Ones, but for one value of lm_head.
class OneLarge final : public WeightSource {
 public:
  explicit OneLarge(float value) : value_(value) {}
  const Architecture& architecture() const override { return architecture_; }
  std::string digest() const override { return "one large"; }
  void read(const TensorInfo& tensor, RowRange rows, DType dtype, void* target) override {
    std::vector<float> values(static_cast<std::size_t>(rows.count() * tensor.cols), 1.0f);
    if (tensor.name == "lm_head" && rows.begin == 0) values[3] = value_;
    convert(values.data(), DType::f32, target, dtype, static_cast<std::int64_t>(values.size()));
  }

 private:
  Architecture architecture_ = grouped_model();
  float value_;
};

TEST_F(ModelFile, WhatShorterTypesCannotHoldIsRefused) {
  const std::string where = (folder_.path() / "large.h5").string() + ": tensor 'lm_head' ";
  const auto refusal = [&](float value, DType dtype) {
    const auto path = folder_.path() / "large.h5";
    OneLarge source(value);
    write_model_file(path, source, DType::f32);
    const auto file = open_model_file(path, 2);
    return failure([&] { read_whole(*file, find_tensor(file->architecture(), "lm_head"), dtype); });
  };
  EXPECT_EQ(refusal(65520, DType::f16),
            where + "has a value beyond the range of f16: expected 65504 at most, or bf16 or f32");
  EXPECT_EQ(refusal(-65519, DType::f16), "no error");
  EXPECT_EQ(refusal(std::numeric_limits<float>::max(), DType::bf16),
            where + "has a value beyond the range of bf16: expected f32");
  EXPECT_EQ(refusal(-3.389e38F, DType::bf16), "no error");
  EXPECT_EQ(refusal(std::numeric_limits<float>::infinity(), DType::f16), "no error");
  EXPECT_EQ(refusal(std::numeric_limits<float>::infinity(), DType::bf16), "no error");
}

TEST_F(ModelFile, HasADigestOfItsContentAlone) {
  const Architecture a = grouped_model();
  const std::string digest = open_model_file(write(a, DType::bf16), 1)->digest();
  EXPECT_EQ(open_model_file(write(a, DType::bf16), 1)->digest(), digest);
  EXPECT_NE(open_model_file(write(a, DType::bf16, 2), 1)->digest(), digest);
  EXPECT_NE(open_model_file(write(a, DType::f32), 1)->digest(), digest);
  Architecture other = a;
  other.rope_theta = 1000;
  EXPECT_NE(open_model_file(write(other, DType::bf16), 1)->digest(), digest);
}

TEST_F(ModelFile, CanBeCopiedIntoAnother) {
  const auto path = write(grouped_model(), DType::f32);
  const auto copy = folder_.path() / "copy.h5";
  const auto source = open_model_file(path, 2);
  write_model_file(copy, *source, DType::f32);
  EXPECT_EQ(open_model_file(copy, 1)->digest(), source->digest());
}

TEST_F(ModelFile, RefusesRowsThatItDoesNotHave) {
  const auto path = write(grouped_model(), DType::bf16);
  const auto file = open_model_file(path, 1);
  const TensorInfo tensor = find_tensor(grouped_model(), "embedding");
  EXPECT_EQ(failure([&] {
              read_rows(*file, tensor, {300, 302}, DType::bf16);
            }),
            path.string() + ": tensor 'embedding' has 301 rows, not [300, 302)");
  EXPECT_EQ(failure([&] {
              read_rows(*file, {"bias", 1, 1, Split::none}, {0, 1}, DType::bf16);
            }),
            path.string() + ": tensor 'bias' is missing");
  EXPECT_TRUE(read_rows(*file, tensor, {5, 5}, DType::bf16).empty());
}

TEST_F(ModelFile, MakesItsFolderAndReplacesWhatIsThere) {
  const auto path = folder_.path() / "a" / "b" / "model.h5";
  write_model_file(path, *make_random_weights(grouped_model(), 1, 1), DType::bf16);
  const std::string before = open_model_file(path, 1)->digest();
  const auto old = open_model_file(path, 1);
  write_model_file(path, *make_random_weights(grouped_model(), 2, 1), DType::bf16);
  EXPECT_NE(open_model_file(path, 1)->digest(), before);
  const TensorInfo tensor = find_tensor(grouped_model(), "lm_head");
  EXPECT_EQ(read_whole(*old, tensor, DType::bf16),  // who had it open keeps reading the old one
            read_whole(*make_random_weights(grouped_model(), 1, 1), tensor, DType::bf16));
  EXPECT_EQ(std::distance(std::filesystem::directory_iterator(path.parent_path()), {}), 1);
}

TEST_F(ModelFile, IsNotSeeded) {
  const auto file = open_model_file(write(grouped_model(), DType::bf16), 1);
  const TensorInfo tensor = find_tensor(grouped_model(), "lm_head");
  EXPECT_FALSE(file->seeded({tensor, {0, tensor.rows}}).has_value());
}

class Failing final : public WeightSource {
 public:
  const Architecture& architecture() const override { return architecture_; }
  std::string digest() const override { return ""; }
  void read(const TensorInfo& tensor, RowRange, DType, void*) override {
    if (tensor.name == "final_norm") throw UsageError("the source failed");
  }

 private:
  Architecture architecture_ = grouped_model();
};

TEST_F(ModelFile, StaysWhenWritingFails) {
  const auto path = write(grouped_model(), DType::bf16);
  const std::string before = read_file(path);
  Failing source;
  EXPECT_EQ(failure([&] { write_model_file(path, source, DType::bf16); }), "the source failed");
  EXPECT_EQ(read_file(path), before);
  EXPECT_EQ(files(), 1u);
}

TEST_F(ModelFile, SaysWhyItCannotBeWritten) {
  const auto source = make_random_weights(grouped_model(), 1, 1);
  EXPECT_EQ(failure([&] { write_model_file(folder_.path(), *source, DType::bf16); }),
            folder_.path().string() + ": is a folder, expected a file");
  std::ofstream(folder_.path() / "file") << "text";
  const auto below = folder_.path() / "file" / "model.h5";
  EXPECT_EQ(failure([&] { write_model_file(below, *source, DType::bf16); }),
            (folder_.path() / "file").string() + ": cannot be created: Not a directory");
  Architecture huge = grouped_model();
  huge.vocab = std::int64_t{1} << 40;
  const auto path = folder_.path() / "huge.h5";
  EXPECT_NE(failure([&] {
              write_model_file(path, *make_random_weights(huge, 1, 1), DType::bf16);
            }).find("the model needs 192 TiB, "),
            std::string::npos);
  EXPECT_EQ(files(), 1u);
}

TEST_F(ModelFile, ReplacesFilesOnly) {
  const auto source = make_random_weights(grouped_model(), 1, 1);
  const auto pipe = folder_.path() / "pipe";
  ASSERT_EQ(::mkfifo(pipe.c_str(), 0600), 0);
  EXPECT_EQ(failure([&] { write_model_file(pipe, *source, DType::bf16); }),
            pipe.string() + ": is a pipe, expected a file");
  EXPECT_TRUE(std::filesystem::is_fifo(pipe));
  const auto device = folder_.path() / "device";  // by a link, so that a failure harms none
  std::filesystem::create_symlink("/dev/full", device);
  EXPECT_EQ(failure([&] { write_model_file(device, *source, DType::bf16); }),
            device.string() + ": is a device, expected a file");
  EXPECT_TRUE(std::filesystem::is_symlink(device));
}

TEST_F(ModelFile, SaysWhyItCannotBeRead) {
  const auto pipe = folder_.path() / "pipe";
  ASSERT_EQ(::mkfifo(pipe.c_str(), 0600), 0);
  EXPECT_EQ(failure([&] { open_model_file(pipe, 1); }), pipe.string() + ": is a pipe, expected a model file");
  const auto none = folder_.path() / "none.h5";
  EXPECT_EQ(failure([&] { open_model_file(none, 1); }),
            none.string() + ": cannot be opened: No such file or directory");
  const auto path = write(grouped_model(), DType::bf16);
  test::forbid(path);
  const test::Nobody nobody;
  EXPECT_EQ(failure([&] { open_model_file(path, 1); }),
            path.string() + ": cannot be opened: Permission denied");
}

TEST_F(ModelFile, IsNotThereWhenItDoesNotFit) {
  rlimit before{};
  ASSERT_EQ(getrlimit(RLIMIT_FSIZE, &before), 0);
  const auto handler = std::signal(SIGXFSZ, SIG_IGN);
  const rlimit limit{1 << 20, before.rlim_max};
  ASSERT_EQ(setrlimit(RLIMIT_FSIZE, &limit), 0);
  const auto path = folder_.path() / "wide.h5";
  const std::string message =
      failure([&] { write_model_file(path, *make_random_weights(wide_model(), 1, 1), DType::bf16); });
  setrlimit(RLIMIT_FSIZE, &before);
  std::signal(SIGXFSZ, handler);
  EXPECT_EQ(message, path.string() + ": cannot be written: File too large");
  EXPECT_EQ(files(), 0u);
}

}  // namespace
}  // namespace hydrajob
