// What `hydrajob make-model` refuses, and what it writes.
#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <unistd.h>

#include <fmt/format.h>
#include <gtest/gtest.h>

#include "base/error.hpp"
#include "main/command_make_model.hpp"
#include "weights/weight_source.hpp"

namespace hydrajob {
namespace {

std::string refusal(std::vector<std::string> arguments) {
  arguments.insert(arguments.begin(), {"no_such.yaml", "-o", "no_such_folder/a.h5"});
  try {
    run_make_model(arguments);
  } catch (const UsageError& e) {
    return e.what();
  }
  return "accepted";
}

TEST(MakeModel, ANegativeNumberIsNotReadAsAnother) {
  EXPECT_EQ(refusal({"--seed", "-1"}), "make-model: --seed -1: expected 0 or more");
  EXPECT_EQ(refusal({"--seed=-1"}), "make-model: --seed -1: expected 0 or more");
  EXPECT_EQ(refusal({"--threads", "-2"}), "make-model: --threads -2: expected 0 to 1024");
}

TEST(MakeModel, ThreadsHaveALimit) {
  EXPECT_EQ(refusal({"--threads", "100000"}), "make-model: --threads 100000: expected 0 to 1024");
  setenv("OMP_NUM_THREADS", "100000", 1);
  EXPECT_EQ(refusal({}), "OMP_NUM_THREADS '100000': expected 1 to 1024 threads");
  unsetenv("OMP_NUM_THREADS");
}

TEST(MakeModel, WhatIsNoNumberIsNamed) {
  EXPECT_NE(refusal({"--seed", "1.5"}).find("'1.5'"), std::string::npos);
}

TEST(MakeModel, KindsAreKnownAndTakeTheirOwnOptions) {
  EXPECT_EQ(refusal({"--kind", "trained"}), "make-model: --kind 'trained': expected random or recall");
  EXPECT_EQ(refusal({"--kind", "recall", "--seed", "1"}),
            "make-model: --seed is of random weights, not of --kind recall");
}

TEST(MakeModel, TheRecallModelIsWrittenAsItIs) {
  const auto folder = std::filesystem::temp_directory_path() / fmt::format("hj_make_model_{}", getpid());
  std::filesystem::create_directory(folder);
  const std::string yaml = folder / "small.yaml";
  const std::string output = folder / "small.h5";
  std::ofstream(yaml) << "n_layers: 2\nhidden: 64\nn_heads: 4\nhead_dim: 32\nintermediate: 16\nvocab: 200\n"
                         "max_positions: 4096\nrope_theta: 1.0e+9\n";
  EXPECT_EQ(run_make_model({yaml, "-o", output, "--kind", "recall"}), ExitCode::ok);
  const auto expected = make_recall_weights(load_architecture(yaml));
  const auto written = open_model_file(output, 1);
  EXPECT_EQ(written->architecture(), expected->architecture());
  for (const TensorInfo& tensor : tensors_of(written->architecture())) {
    std::vector<std::uint16_t> a(static_cast<std::size_t>(tensor.rows * tensor.cols)), b(a.size());
    written->read(tensor, {0, tensor.rows}, DType::bf16, a.data());
    expected->read(tensor, {0, tensor.rows}, DType::bf16, b.data());
    EXPECT_EQ(a, b) << tensor.name;
  }
  std::filesystem::remove_all(folder);
}

}  // namespace
}  // namespace hydrajob
