// A model file is written by processes that die at every call that changes a file, one after another, by a
// kill and by a loss of power. What stands at its place is whole or not there, and the next process continues
// to the same bytes.
#include <csignal>
#include <cstdio>
#include <exception>
#include <filesystem>
#include <set>
#include <string>
#include <sys/wait.h>
#include <tuple>
#include <unistd.h>

#include <gtest/gtest.h>

#include "base/error.hpp"
#include "base/file.hpp"
#include "store/stop_at_call.hpp"
#include "tokenizer/tokenizer.hpp"
#include "unit/base/temporary_folder.hpp"
#include "unit/config/failure.hpp"
#include "unit/weights/models.hpp"

namespace hydrajob::test {
namespace {

namespace fs = std::filesystem;

constexpr const char* identity = "the same";

// Counts the tensors that it is asked for; fails at one, if told so.
class Counting final : public WeightSource {
 public:
  const Architecture& architecture() const override { return weights_->architecture(); }
  std::string digest() const override { return weights_->digest(); }
  ModelText text() const override { return {TokenizerFile{sentencepiece_tokenizer, "\nabc"}, {}}; }
  void read(const TensorInfo& tensor, RowRange rows, DType dtype, void* target) override {
    if (tensor.name == fails_at) throw UsageError("it fails");
    asked.insert(tensor.name);
    weights_->read(tensor, rows, dtype, target);
  }

  std::set<std::string> asked;
  std::string fails_at;

 private:
  std::unique_ptr<WeightSource> weights_ = make_random_weights(odd_model(), 1, 1);
};

// A model file's, or those of all files of a split one.
std::string content_of(const fs::path& path) {
  if (!fs::is_directory(path)) return read_file(path);
  std::set<fs::path> files(fs::directory_iterator(path), fs::directory_iterator{});
  std::string content;
  for (const fs::path& file : files) content += file.filename().string() + read_file(file);
  return content;
}

// How it dies; 0: one file, else a folder of so many.
using Parameters = std::tuple<Death, int>;

class ModelKill : public ::testing::TestWithParam<Parameters> {
 protected:
  ModelKill() {
    write(unbroken_path_, identity);
    unbroken_ = content_of(unbroken_path_);
  }

  static bool is_split() { return std::get<int>(GetParam()) > 0; }

  // Every tensor is committed; the names of those that were read.
  std::set<std::string> write(const fs::path& path, const std::string& of,
                              const std::string& fails_at = "") const {
    Counting source;
    source.fails_at = fails_at;
    WriteOptions options;
    options.identity = of;
    options.commit_bytes = 1;
    options.split = std::get<int>(GetParam());
    write_model_file(path, source, DType::bf16, options);
    return source.asked;
  }

  // False where it had ended before its nth call.
  bool dies_at(int nth) {
    TemporaryFolder spare;
    fs::remove_all(path_.parent_path());
    fs::create_directory(path_.parent_path());
    const pid_t child = ::fork();
    if (child == 0) {
      die_at_call(nth, std::get<Death>(GetParam()), spare.path());
      try {
        write(path_, identity);
      } catch (const std::exception& e) {
        std::fprintf(stderr, "writer: %s\n", e.what());
        ::_exit(1);
      }
      ::_exit(0);
    }
    int status = 0;
    ::waitpid(child, &status, 0);
    if (WIFEXITED(status) && WEXITSTATUS(status) == 0) return false;
    EXPECT_TRUE(WIFSIGNALED(status) && WTERMSIG(status) == SIGKILL);
    return true;
  }

  void expect_alone() const {
    for (const auto& entry : fs::directory_iterator(path_.parent_path())) EXPECT_EQ(entry.path(), path_);
  }

  TemporaryFolder folder_;
  fs::path unbroken_path_ = folder_.path() / "unbroken.h5";
  fs::path path_ = folder_.path() / "killed" / "model.h5";
  std::string unbroken_;
};

TEST_P(ModelKill, AtEveryCallIsMadeGood) {
  const std::size_t tensors = tensors_of(odd_model()).size();
  int nth = 1;
  std::size_t read_again = 0;
  for (; dies_at(nth); ++nth) {
    SCOPED_TRACE(nth);
    if (fs::exists(path_)) {
      ASSERT_EQ(content_of(path_), unbroken_);
    }
    if (is_split() && fs::exists(path_)) {
      EXPECT_NE(failure([&] { write(path_, identity); }).find("is there already"), std::string::npos);
    } else {
      read_again += write(path_, identity).size();
    }
    ASSERT_EQ(content_of(path_), unbroken_);
    expect_alone();
    if (HasFailure()) return;
  }
  EXPECT_GT(nth, static_cast<int>(4 * tensors));  // data, its sync, the journal's line, its sync
  // Were it to begin again each time, it would read all of them. Deaths before the first tensor and after the
  // last leave nothing to go on from.
  EXPECT_LT(static_cast<double>(read_again), 0.75 * static_cast<double>(tensors) * nth);
}

INSTANTIATE_TEST_SUITE_P(Deaths, ModelKill,
                         ::testing::Combine(::testing::Values(Death::killed, Death::torn, Death::data_lost,
                                                              Death::all_lost),
                                            ::testing::Values(0, 3)));

class Continued : public ModelKill {};

TEST_P(Continued, ReadsOnlyWhatWasNotCommitted) {
  fs::create_directory(path_.parent_path());
  EXPECT_EQ(failure([&] { write(path_, identity, "layers.0.attention.k"); }), "it fails");
  EXPECT_FALSE(fs::exists(path_));
  const std::set<std::string> rest = write(path_, identity);
  EXPECT_EQ(rest.count("layers.0.attention.q"), 0u);
  EXPECT_EQ(rest.count("layers.0.attention.k"), 1u);
  EXPECT_EQ(content_of(path_), unbroken_);
  expect_alone();
}

TEST_P(Continued, FromAnotherSourceBeginsAgain) {
  fs::create_directory(path_.parent_path());
  EXPECT_EQ(failure([&] { write(path_, "another", "final_norm"); }), "it fails");
  EXPECT_EQ(write(path_, identity).size(), tensors_of(odd_model()).size());
  EXPECT_EQ(content_of(path_), unbroken_);
}

TEST_P(Continued, WithoutItsPartBeginsAgain) {
  fs::create_directory(path_.parent_path());
  EXPECT_EQ(failure([&] { write(path_, identity, "final_norm"); }), "it fails");
  const fs::path partial = path_.string() + ".partial";
  fs::resize_file(fs::is_directory(partial) ? partial / "rank1.h5" : partial, 5000);
  EXPECT_EQ(write(path_, identity).size(), tensors_of(odd_model()).size());
  EXPECT_EQ(content_of(path_), unbroken_);
}

INSTANTIATE_TEST_SUITE_P(Once, Continued,
                         ::testing::Combine(::testing::Values(Death::killed), ::testing::Values(0, 3)));

}  // namespace
}  // namespace hydrajob::test
