// What `hydrajob make-model` refuses.
#include <cstdlib>

#include <gtest/gtest.h>

#include "base/error.hpp"
#include "main/command_make_model.hpp"

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

}  // namespace
}  // namespace hydrajob
