// Attention where parts are empty, segments overlap in odd ways, scores are extreme, and how much memory it
// asks for.
#include <cmath>
#include <cstddef>
#include <cstdint>
#include <limits>
#include <vector>

#include <gtest/gtest.h>

#include "kernels/attention/tree_problem.hpp"
#include "kernels/cpu/attention.hpp"
#include "kernels/host_side.hpp"

namespace hydrajob::test {
namespace {

void check_everywhere(const TreeProblem& problem) {
  const AttentionResult reference = run_reference(problem);
  for (const bool share : {true, false}) {
    for (const KernelRun& run : all_runs(share, {2})) {
      SCOPED_TRACE(run.name());
      expect_close(run_kernels(problem, run), reference, problem.shape());
    }
  }
}

class AttentionEdge : public AttentionTest {
 protected:
  TreeShape shape(std::int64_t group = 2) const {
    return {.n_kv_heads = 2, .group = group, .head_dim = 64, .dtype = GetParam()};
  }
};

TEST_P(AttentionEdge, RowsThatSeeNothing) {
  TreeProblem problem(shape(), {1, 3, 1}, {0, 0, 5}, 1);
  problem.fill();

  check_everywhere(problem);
  const AttentionResult result = run_kernels(problem, all_runs(true, {1}).back());

  EXPECT_EQ(result.out[0], 0);
  EXPECT_EQ(result.lse[0], -INFINITY);
}

TEST_P(AttentionEdge, NoRowsAndNoStreams) {
  TreeProblem none(shape(), {}, {}, 1);
  none.fill();
  check_everywhere(none);
  TreeProblem empty(shape(), {0, 2, 0}, {0, 7, 0}, 1);
  empty.add_segment(9, 0, 2);
  empty.fill();
  check_everywhere(empty);
}

TEST_P(AttentionEdge, EmptySegmentsAndSegmentsWithoutRows) {
  TreeProblem problem(shape(), {1, 1, 1}, {0, 3, 0}, 2);
  problem.add_segment(0, 0, 3);
  problem.add_segment(17, 1, 1);
  problem.add_segment(17, 1, 3);
  problem.fill();
  check_everywhere(problem);
}

// Nothing, one token, and a block of keys with one less or more: of the prefix, and of the sequences' own.
TEST_P(AttentionEdge, LengthsAroundABlock) {
  const std::vector<std::int32_t> lengths{0, 1, 127, 128, 129};
  std::uint64_t seed = 20;
  for (const std::int64_t head_dim : {64, 80, 128}) {
    for (const std::int32_t prefix : lengths) {
      for (const std::int32_t suffix : lengths) {
        SCOPED_TRACE(::testing::Message() << head_dim << ", prefix " << prefix << ", suffix " << suffix);
        TreeShape decode = shape(4);
        decode.head_dim = head_dim;
        TreeProblem problem(decode, {1, 1, 1}, {suffix, suffix, suffix}, ++seed);
        problem.add_segment(prefix, 0, 3);
        problem.fill();
        check_everywhere(problem);
      }
    }
  }
}

TEST_P(AttentionEdge, SegmentsOfOneSequence) {
  TreeProblem problem(shape(4), {1, 1, 1}, {3, 0, 129}, 10);
  problem.add_segment(300, 0, 1);
  problem.add_segment(128, 1, 2);
  problem.add_segment(1, 2, 3);
  problem.fill();
  check_everywhere(problem);
}

// Kernels that move 16 bytes at once have to leave these to others.
TEST_P(AttentionEdge, TokensThatAreNotAligned) {
  TreeShape odd = shape(4);
  odd.head_dim = 128;
  odd.token_padding = 7;
  TreeProblem problem(odd, {1, 1, 30}, {65, 0, 140}, 11);
  problem.add_segment(130, 0, 32);
  problem.fill();
  check_everywhere(problem);
}

TEST_P(AttentionEdge, SegmentsOfSomeRowsOfAStream) {
  TreeProblem problem(shape(3), {7, 40, 5}, {9, 0, 600}, 3);
  problem.add_segment(70, 2, 9);
  problem.add_segment(300, 5, 50);
  problem.add_segment(20, 11, 12);
  problem.add_segment(600, 48, 51);
  problem.fill();
  check_everywhere(problem);
}

// Early rows of a causal part see nothing of its later chunks, which hold garbage for them.
TEST_P(AttentionEdge, ChunksBeyondTheDiagonal) {
  TreeShape narrow = shape(1);
  narrow.n_kv_heads = 1;
  narrow.head_dim = 8;
  TreeProblem problem(narrow, {4000}, {4200}, 9);
  problem.fill();
  check_everywhere(problem);
}

TEST_P(AttentionEdge, MoreHeadsInAGroupThanABlockHasRows) {
  TreeProblem problem(shape(300), {1, 2}, {3, 70}, 4);
  problem.add_segment(100, 0, 3);
  problem.fill();
  check_everywhere(problem);
}

// Scores that rise by hundreds from block to block: each maximum must replace the last, in every part.
TEST_P(AttentionEdge, ScoresThatGrow) {
  TreeProblem problem(shape(), {2, 1}, {200, 130}, 5);
  problem.add_segment(400, 0, 3);
  problem.fill();
  const AttentionArgs args = problem.args_f32();
  for (std::size_t i = 0; i < problem.k.size(); ++i) {
    const std::size_t token = i / static_cast<std::size_t>(args.kv.token_stride);
    problem.k[i] = std::isnan(problem.k[i]) ? problem.k[i] : static_cast<float>(token % 256) / 4;
  }
  for (float& x : problem.q) x = x > 0 ? 2.0F : -0.5F;
  problem.use_values();
  check_everywhere(problem);
}

TEST_P(AttentionEdge, HugeNegativeScores) {
  TreeProblem problem(shape(), {1, 1}, {70, 3}, 6);
  problem.add_segment(65, 0, 2);
  problem.fill();
  for (float& x : problem.k) x = x == x ? 1024.0F : x;
  for (float& x : problem.q) x = -512.0F;
  problem.use_values();
  check_everywhere(problem);
}

// However few sequences share many parts of a prefix: nothing makes a number of them.
TEST_P(AttentionEdge, QueriesThatAreNoNumbersGiveNone) {
  TreeProblem problem({.n_kv_heads = 1, .group = 4, .head_dim = 128, .dtype = GetParam()}, {1}, {64}, 11);
  problem.add_segment(16411, 0, 1);
  problem.fill();
  for (float& x : problem.q) x = std::numeric_limits<float>::quiet_NaN();
  problem.use_values();
  for (const KernelRun& run : all_runs(true, {1})) {
    for (const double x : run_kernels(problem, run).out) ASSERT_TRUE(std::isnan(x)) << run.name();
  }
}

// A plan asks once, for the lengths of the last step.
TEST_P(AttentionEdge, WorkspaceGrowsWithOwnLength) {
  if (tests_cuda()) GTEST_SKIP() << "of the CPU";
  TreeProblem problem(shape(8), {1, 1, 30}, {1, 1, 30}, 7);
  problem.add_segment(1000, 0, 2);
  AttentionArgs args = problem.args();
  for (const bool share : {true, false}) {
    args.share = share;
    std::size_t last = 0;
    for (std::int32_t length = 30; length < 20000; length += 97) {
      problem.own_length = {length, 5, length};
      const std::size_t bytes = cpu::attention_workspace(args, 2);
      EXPECT_GE(bytes, last) << length;
      last = bytes;
    }
  }
}

INSTANTIATE_TEST_SUITE_P(, AttentionEdge, ::testing::ValuesIn(every_dtype),
                         [](const auto& instance) { return std::string(name_of(instance.param)); });

}  // namespace
}  // namespace hydrajob::test
