// What a model file holds beside weights comes back as it was written; what is damaged is said.
#include <chrono>
#include <filesystem>
#include <fstream>
#include <thread>

#include <gtest/gtest.h>

#include "base/file.hpp"
#include "tokenizer/tokenizer.hpp"
#include "unit/base/temporary_folder.hpp"
#include "unit/config/failure.hpp"
#include "unit/weights/models.hpp"

namespace hydrajob {
namespace {

// Random weights with a text.
class Speaking final : public WeightSource {
 public:
  explicit Speaking(ModelText text) : text_(std::move(text)) {}
  const Architecture& architecture() const override { return weights_->architecture(); }
  std::string digest() const override { return weights_->digest(); }
  ModelText text() const override { return text_; }
  void read(const TensorInfo& tensor, RowRange rows, DType dtype, void* target) override {
    weights_->read(tensor, rows, dtype, target);
  }

 private:
  std::unique_ptr<WeightSource> weights_ = make_random_weights(test::grouped_model(), 1, 1);
  ModelText text_;
};

class Text : public ::testing::Test {
 protected:
  test::TemporaryFolder folder_;
  std::filesystem::path path_ = folder_.path() / "model.h5";
};

std::string every_byte(int times) {
  std::string bytes;
  for (int i = 0; i < 256 * times; ++i) bytes += static_cast<char>(i);
  return bytes;
}

TEST_F(Text, ComesBack) {
  // Shorter and longer than what HDF5 aligns.
  for (const std::string& bytes : {std::string("\n"), every_byte(1), every_byte(100)}) {
    ModelText text;
    text.tokenizer = TokenizerFile{sentencepiece_tokenizer, bytes};
    text.generation = {3, {4, 5, 300}, 0, 0.0, 1.0};
    Speaking source(text);
    write_model_file(path_, source, DType::bf16);
    const auto file = open_model_file(path_, 1);
    const ModelText found = file->text();
    ASSERT_TRUE(found.tokenizer.has_value());
    EXPECT_EQ(found.tokenizer->kind, "sentencepiece");
    EXPECT_EQ(found.tokenizer->bytes, bytes);
    EXPECT_EQ(found.generation, text.generation);
    const TensorInfo tensor = test::find_tensor(test::grouped_model(), "lm_head");
    EXPECT_EQ(test::read_whole(*file, tensor, DType::bf16), test::read_whole(source, tensor, DType::bf16));
  }
}

TEST_F(Text, IsTheArchitecturesWhereNothingElseIsKnown) {
  Architecture a = test::grouped_model();
  a.bos_id = 7;
  a.eos_id = 8;
  write_model_file(path_, *make_random_weights(a, 1, 1), DType::bf16);
  const ModelText found = open_model_file(path_, 1)->text();
  EXPECT_FALSE(found.tokenizer.has_value());
  EXPECT_EQ(found.generation, (GenerationDefaults{7, {8}, {}, {}, {}}));
}

TEST_F(Text, ThatIsDamagedIsRefused) {
  const std::string bytes = every_byte(100);
  Speaking source({TokenizerFile{huggingface_tokenizer, bytes}, {}});
  write_model_file(path_, source, DType::bf16);
  std::string file = read_file(path_);
  const std::size_t place = file.find(bytes);
  ASSERT_NE(place, std::string::npos);
  file[place + 5000] ^= 1;
  std::ofstream(path_, std::ios::binary) << file;
  EXPECT_EQ(failure([&] { open_model_file(path_, 1)->text(); }),
            path_.string() + ": the tokenizer is damaged: it does not match its digest");
}

TEST_F(Text, SameContentIsTheSameBytes) {
  Speaking source({TokenizerFile{sentencepiece_tokenizer, "\nabc"}, {}});
  write_model_file(path_, source, DType::bf16);
  const std::string once = read_file(path_);
  std::this_thread::sleep_for(std::chrono::milliseconds(1100));  // HDF5 notes times in whole seconds
  write_model_file(path_, source, DType::bf16);
  EXPECT_EQ(read_file(path_), once);
}

}  // namespace
}  // namespace hydrajob
