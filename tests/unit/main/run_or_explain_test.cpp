// What becomes of an error on one rank: its message, and the code that the job ends with.
#include <new>
#include <stdexcept>

#include <gtest/gtest.h>

#include "base/error.hpp"
#include "main/command_run.hpp"
#include "sched/agree.hpp"

namespace hydrajob {
namespace {

template <class Exception>
ExitCode fail_with(const Exception& exception) {
  return run_or_explain(*make_self_communicator(), [&]() -> ExitCode { throw exception; });
}

// Exits as the job would.
template <class Exception>
[[noreturn]] void exit_after(const Exception& exception) {
  std::exit(static_cast<int>(fail_with(exception)));
}

TEST(RunOrExplain, TheJobsOwnCodeIsTheAnswer) {
  EXPECT_EQ(run_or_explain(*make_self_communicator(), [] { return ExitCode::interrupted; }),
            ExitCode::interrupted);
}

TEST(RunOrExplain, AnErrorOfAllRanksIsReturned) {
  EXPECT_EQ(fail_with(AgreedError(ExitCode::store, "full")), ExitCode::store);
}

TEST(RunOrExplain, AnErrorOfOneRankEndsTheJobWithItsCode) {
  EXPECT_EXIT(exit_after(StoreError("full")), testing::ExitedWithCode(3), "error: full");
}

// 75 would have it queued again, to end the same way.
TEST(RunOrExplain, WhatNobodyExpectedEndsTheJobWithOne) {
  EXPECT_EXIT(exit_after(std::logic_error("odd")), testing::ExitedWithCode(1), "error: unexpected: odd");
  EXPECT_EXIT(exit_after(std::bad_alloc()), testing::ExitedWithCode(1), "error: unexpected: std::bad_alloc");
  EXPECT_EXIT(exit_after(7), testing::ExitedWithCode(1), "error: unexpected: an exception that is no std");
}

}  // namespace
}  // namespace hydrajob
