// Damaged and truncated model files: found, and blamed on the right tensor.
#include <filesystem>
#include <fstream>
#include <map>
#include <random>

#include <fmt/format.h>
#include <gtest/gtest.h>

#include "base/file.hpp"
#include "unit/base/temporary_folder.hpp"
#include "unit/config/failure.hpp"
#include "unit/weights/models.hpp"
#include "weights/model_format.hpp"
#include "weights/model_metadata.hpp"

namespace hydrajob {
namespace {

using test::grouped_model;
using test::read_whole;

class Damage : public ::testing::Test {
 protected:
  Damage() : seed_(std::random_device{}()), random_(seed_), path_(folder_.path() / "model.h5") {
    write_model_file(path_, *make_random_weights(model_, 1, 1), DType::bf16);
    whole_ = read_file(path_);
    entries_ = weights::read_model_metadata(path_.string()).tensors;
    data_begin_ = whole_.size();
    for (const auto& entry : entries_)
      data_begin_ = std::min(data_begin_, static_cast<std::size_t>(entry.offset));
  }

  void put(const std::string& bytes) { std::ofstream(path_, std::ios::binary | std::ios::trunc) << bytes; }

  void put_flipped(std::size_t at, unsigned bit) {
    std::string bytes = whole_;
    bytes[at] = static_cast<char>(bytes[at] ^ (1 << bit));
    put(bytes);
  }

  std::size_t below(std::size_t end) {
    return std::uniform_int_distribution<std::size_t>(0, end - 1)(random_);
  }

  // In the order of the file's bytes, which small tensors leave: they fill gaps before aligned ones.
  std::string first_cut(std::size_t length) const {
    const weights::TensorEntry* first = nullptr;
    for (const auto& entry : entries_) {
      if (entry.offset + weights::bytes_of(entry.info, DType::bf16) > length &&
          (first == nullptr || entry.offset < first->offset))
        first = &entry;
    }
    return first == nullptr ? "none" : first->info.name;
  }

  // Of every tensor that cannot be read.
  std::map<std::string, std::string> messages() {
    std::map<std::string, std::string> found;
    const auto file = open_model_file(path_, 2);
    for (const TensorInfo& tensor : tensors_of(model_)) {
      const std::string message = failure([&] { read_whole(*file, tensor, DType::bf16); });
      if (message != "no error") found[tensor.name] = message;
    }
    return found;
  }

  Architecture model_ = grouped_model();
  unsigned seed_;
  std::mt19937_64 random_;
  test::TemporaryFolder folder_;
  std::filesystem::path path_;
  std::string whole_;
  std::vector<weights::TensorEntry> entries_;
  std::size_t data_begin_;
};

TEST_F(Damage, OfOneBitIsFoundInItsTensor) {
  SCOPED_TRACE(fmt::format("seed {}", seed_));
  for (int i = 0; i < 100; ++i) {
    const auto& entry = entries_[below(entries_.size())];
    const std::size_t byte = below(weights::bytes_of(entry.info, DType::bf16));
    put_flipped(entry.offset + byte, static_cast<unsigned>(below(8)));
    const auto found = messages();
    ASSERT_EQ(found.size(), 1u) << entry.info.name;
    EXPECT_EQ(found.begin()->first, entry.info.name);
    const auto row = static_cast<std::int64_t>(byte) / entry.info.cols / 2;
    const RowRange rows =
        weights::checksum_range(entry.info.rows, weights::range_of_row(entry.info.rows, row));
    EXPECT_EQ(found.begin()->second,
              fmt::format("{}: tensor '{}' is damaged: rows {} to {} do not match their checksum",
                          path_.string(), entry.info.name, rows.begin, rows.end - 1));
  }
}

// A rank whose shard ends amid a checksum range reads and checks the whole range.
TEST_F(Damage, BesideTheWantedRowsOfARangeIsFound) {
  const auto& entry = entries_.front();  // 301 rows: ranges of 4 and 5
  const RowRange range = weights::checksum_range(entry.info.rows, 10);
  const std::size_t row = static_cast<std::size_t>(entry.info.cols) * 2;
  put_flipped(entry.offset + static_cast<std::size_t>(range.begin) * row, 0);
  const auto file = open_model_file(path_, 1);
  const auto read = [&](RowRange rows) {
    return failure([&] { test::read_rows(*file, entry.info, rows, DType::bf16); });
  };
  EXPECT_EQ(read({0, range.begin}), "no error");
  EXPECT_EQ(read({range.end, entry.info.rows}), "no error");
  EXPECT_NE(read({range.end - 1, entry.info.rows}).find("is damaged"), std::string::npos);
}

TEST_F(Damage, OfTheHeadIsFoundOrHarmless) {
  SCOPED_TRACE(fmt::format("seed {}", seed_));
  int found = 0;
  for (int i = 0; i < 300; ++i) {
    const std::size_t at = below(data_begin_);
    put_flipped(at, static_cast<unsigned>(below(8)));
    std::map<std::string, std::string> unreadable;
    const std::string message = failure([&] { unreadable = messages(); });
    EXPECT_TRUE(unreadable.empty()) << "byte " << at;
    if (message == "no error") continue;
    ++found;
    EXPECT_TRUE(message.starts_with(path_.string() + ": ")) << "byte " << at << ": " << message;
  }
  EXPECT_GT(found, 0);
}

TEST_F(Damage, ByTruncationNamesTheFirstTensorThatIsCut) {
  SCOPED_TRACE(fmt::format("seed {}", seed_));
  for (int i = 0; i < 200; ++i) {
    // Half of them at either side of where the data begins.
    const std::size_t length =
        i % 2 == 0 ? below(data_begin_ + 1) : data_begin_ + below(whole_.size() - data_begin_);
    put(whole_.substr(0, length));
    const std::string message = failure([&] { open_model_file(path_, 1); });
    ASSERT_TRUE(message.starts_with(path_.string() + ": ")) << length << ": " << message;
    if (length < 8) {
      EXPECT_NE(message.find("not a model file"), std::string::npos) << length << ": " << message;
      continue;
    }
    const std::string cut = first_cut(length);
    const std::string tensor =
        fmt::format("{}: truncated at {} bytes: tensor '{}' is cut", path_.string(), length, cut);
    if (length >= data_begin_) {
      EXPECT_EQ(message, tensor);
    } else {
      EXPECT_TRUE(message == tensor || message.find("the file's head") != std::string::npos)
          << length << ": " << message;
    }
  }
}

// However many headers there are, all stand before the data.
TEST_F(Damage, ByTruncationBehindTheHeadNamesTheFirstTensor) {
  Architecture deep = grouped_model();
  deep.n_layers = 60;
  write_model_file(path_, *make_random_weights(deep, 1, 1), DType::bf16);
  const auto entries = weights::read_model_metadata(path_.string()).tensors;
  for (const auto& entry : entries) {
    EXPECT_GE(entry.offset, entries.front().offset) << entry.info.name;
    if (weights::bytes_of(entry.info, DType::bf16) >= 4096) {
      EXPECT_EQ(entry.offset % 4096, 0u) << entry.info.name;
    }
  }
  std::filesystem::resize_file(path_, entries.front().offset);
  EXPECT_EQ(failure([&] { open_model_file(path_, 1); }),
            fmt::format("{}: truncated at {} bytes: tensor 'embedding' is cut", path_.string(),
                        entries.front().offset));
}

TEST_F(Damage, WhileItIsReadIsFound) {
  const auto file = open_model_file(path_, 1);
  std::filesystem::resize_file(path_, data_begin_ + 100);
  EXPECT_EQ(failure([&] { read_whole(*file, entries_.back().info, DType::bf16); }),
            fmt::format("{}: tensor '{}' is cut: the file became shorter", path_.string(),
                        entries_.back().info.name));
}

}  // namespace
}  // namespace hydrajob
