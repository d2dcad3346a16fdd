// What is sent is what is read.
#include "sched/messages.hpp"

#include <stdexcept>

#include <gtest/gtest.h>

namespace hydrajob {
namespace {

TEST(Messages, OrdersSurvive) {
  const StageOrder stage = decode_stage_order(encode(StageOrder{4, 75}));
  EXPECT_EQ(stage.degree, 4);
  EXPECT_EQ(stage.exit_code, 75);
  const RunOrder order = decode_run_order(encode(RunOrder{99999, 3}));
  EXPECT_EQ(order.run, 99999);
  EXPECT_EQ(order.attempt, 3);
  EXPECT_EQ(decode_run_order(encode(RunOrder{})).run, RunOrder::none);
}

TEST(Messages, LastWordsSurvive) {
  EXPECT_EQ(decode_last_words(encode(LastWords{12})).run, 12);
}

TEST(Messages, ReportsSurvive) {
  RunReport report;
  report.outcome = RunReport::Outcome::stored;
  report.run = 17;
  report.attempt = 2;
  report.status = RunStatus::timed_out;
  report.wall_s = 3.25;
  report.headline_s = 1e-3;
  report.reason = std::string("two\nlines\0and a zero", 20);
  const RunReport back = decode_run_report(encode(report));
  EXPECT_EQ(back.outcome, report.outcome);
  EXPECT_EQ(back.run, 17);
  EXPECT_EQ(back.attempt, 2);
  EXPECT_EQ(back.status, RunStatus::timed_out);
  EXPECT_EQ(back.wall_s, 3.25);
  EXPECT_EQ(back.headline_s, 1e-3);
  EXPECT_EQ(back.reason, report.reason);
}

TEST(Messages, WhatIsCutShortIsRefused) {
  EXPECT_THROW(decode_run_report("abc"), std::logic_error);
  EXPECT_THROW(decode_run_order(""), std::logic_error);
}

}  // namespace
}  // namespace hydrajob
