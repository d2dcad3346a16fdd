// Attention on random trees, every instruction set, or the GPU, against the reference in f64.
#include <cstdint>
#include <cstdlib>
#include <random>
#include <vector>

#include <fmt/format.h>
#include <gtest/gtest.h>

#include "kernels/attention/tree_problem.hpp"
#include "kernels/host_side.hpp"

namespace hydrajob::test {
namespace {

const std::vector<std::int32_t> ragged{0, 1, 15, 16, 17, 63, 64, 65, 127, 128, 129};

// HJ_TEST_SEED repeats a run.
std::uint64_t seed() {
  static const std::uint64_t value = [] {
    const char* given = std::getenv("HJ_TEST_SEED");
    const std::uint64_t s = given != nullptr ? std::strtoull(given, nullptr, 10) : std::random_device{}();
    fmt::print("HJ_TEST_SEED={}\n", s);
    return s;
  }();
  return value;
}

void check(const TreeShape& shape, std::uint64_t problem_seed, const std::vector<int>& threads) {
  TreeProblem problem(shape, problem_seed);
  problem.fill();
  const AttentionResult reference = run_reference(problem);
  for (const bool share : {true, false}) {
    for (const KernelRun& run : all_runs(share, threads)) {
      SCOPED_TRACE(fmt::format("seed {}, {}, {} depth {}, {} x {} heads of {}, {} rows", problem_seed,
                               run.name(), name_of(shape.dtype), shape.depth, shape.n_kv_heads, shape.group,
                               shape.head_dim, problem.n_rows()));
      expect_close(run_kernels(problem, run), reference, shape);
      if (::testing::Test::HasFailure()) return;
    }
  }
}

class AttentionTree : public AttentionTest {};

TEST_P(AttentionTree, EveryHeadDimAndGroup) {
  std::mt19937_64 random(seed());
  for (const std::int64_t head_dim : {8, 40, 64, 80, 96, 128, 256}) {
    for (const std::int64_t group : {1, 2, 3, 4, 5, 6, 7, 8, 12}) {
      TreeShape shape{.n_kv_heads = 1 + static_cast<std::int64_t>(random() % 2),
                      .group = group,
                      .head_dim = head_dim,
                      .dtype = GetParam(),
                      .depth = 1 + static_cast<int>(random() % 4),
                      .fan_out = 2,
                      .lengths = ragged};
      check(shape, random(), {2});
      if (HasFailure()) return;
    }
  }
}

// With the trees of the other tests more than 200 a run.
TEST_P(AttentionTree, AnyTree) {
  std::mt19937_64 random(seed() + 6);
  const auto one_of = [&](std::vector<std::int64_t> values) { return values[random() % values.size()]; };
  for (int i = 0; i < 130; ++i) {
    TreeShape shape{.n_kv_heads = one_of({1, 2, 3}),
                    .group = one_of({1, 2, 4, 8}),
                    .head_dim = one_of({64, 80, 128}),
                    .dtype = GetParam(),
                    .depth = static_cast<int>(one_of({0, 1, 2, 3, 4})),
                    .fan_out = static_cast<int>(one_of({1, 2, 3})),
                    .most_rows = one_of({1, 1, 4}),
                    .lengths = ragged};
    check(shape, random(), {2});
    if (HasFailure()) return;
  }
}

TEST_P(AttentionTree, ManyRowsAStream) {
  std::mt19937_64 random(seed() + 1);
  for (int i = 0; i < 12; ++i) {
    TreeShape shape{.n_kv_heads = 1 + static_cast<std::int64_t>(random() % 3),
                    .group = 1 + static_cast<std::int64_t>(random() % 8),
                    .head_dim = i % 3 == 0   ? 64
                                : i % 3 == 1 ? 80
                                             : 128,
                    .dtype = GetParam(),
                    .depth = static_cast<int>(random() % 4),
                    .fan_out = 2,
                    .most_rows = 70,
                    .lengths = ragged};
    check(shape, random(), {1, 5});
    if (HasFailure()) return;
  }
}

TEST_P(AttentionTree, LongPartsOfFewRowsAreCut) {
  std::mt19937_64 random(seed() + 2);
  for (int i = 0; i < 6; ++i) {
    TreeShape shape{.n_kv_heads = 1,
                    .group = 1 + static_cast<std::int64_t>(random() % 8),
                    .head_dim = i % 2 == 0 ? 64 : 128,
                    .dtype = GetParam(),
                    .depth = 2,
                    .fan_out = 1 + i % 2,
                    .most_rows = 1 + 30 * (i % 3),
                    .lengths = {0, 1, 257, 511, 963, 1027}};
    check(shape, random(), {1, 2, 5});
    if (HasFailure()) return;
  }
}

// One sequence, or a few, have to keep a GPU busy: the prefix is cut into many parts.
TEST_P(AttentionTree, SmallBatchesUnderLongPrefixes) {
  std::mt19937_64 random(seed() + 7);
  for (const std::int64_t head_dim : {64, 128}) {
    for (const std::int64_t sequences : {1, 3}) {
      TreeShape shape{.n_kv_heads = 1,
                      .group = 4,
                      .head_dim = head_dim,
                      .dtype = GetParam(),
                      .token_padding = sequences == 1 ? 0 : 8};
      TreeProblem problem(shape, std::vector<std::int64_t>(static_cast<std::size_t>(sequences), 1),
                          std::vector<std::int32_t>(static_cast<std::size_t>(sequences), 64), random());
      problem.add_segment(16411, 0, sequences);
      problem.fill();
      const AttentionResult reference = run_reference(problem);
      for (const KernelRun& run : all_runs(true, {2})) {
        SCOPED_TRACE(fmt::format("{}, {} sequences, head_dim {}", run.name(), sequences, head_dim));
        expect_close(run_kernels(problem, run), reference, shape);
      }
    }
  }
}

// Streams of a row each under a segment that all share.
void check_many_streams(const TreeShape& shape, std::int64_t streams, std::uint64_t longest_own,
                        std::int32_t segment, std::mt19937_64& random) {
  std::vector<std::int32_t> own(static_cast<std::size_t>(streams));
  for (std::int32_t& length : own) length = static_cast<std::int32_t>(random() % (longest_own + 1));
  const std::uint64_t problem_seed = random();
  SCOPED_TRACE(fmt::format("seed {}", problem_seed));
  TreeProblem problem(shape, std::vector<std::int64_t>(own.size(), 1), own, problem_seed);
  problem.add_segment(segment, 0, streams);
  problem.fill();
  expect_close(run_kernels(problem, all_runs(true, {2}).back()), run_reference(problem), shape);
}

// Groups of which a tile of the GPU holds few rows, or one.
TEST_P(AttentionTree, LargeGroups) {
  std::mt19937_64 random(seed() + 10);
  for (const std::int64_t group : {16, 33, 48, 71, 128}) {
    const TreeShape shape{.n_kv_heads = 1, .group = group, .head_dim = 128, .dtype = GetParam()};
    check_many_streams(shape, 3 + static_cast<std::int64_t>(random() % 3), 40, 300, random);
    if (HasFailure()) return;
  }
}

// More parts than a warp of the GPU looks up at once, and more rows than have a block each.
TEST_P(AttentionTree, ManyRowsOfManyParts) {
  std::mt19937_64 random(seed() + 11);
  const std::int64_t streams = 500;
  const TreeShape shape{.n_kv_heads = 1, .group = 8, .head_dim = 128, .dtype = GetParam()};
  TreeProblem problem(shape, std::vector<std::int64_t>(static_cast<std::size_t>(streams), 1),
                      std::vector<std::int32_t>(static_cast<std::size_t>(streams), 5), random());
  for (int i = 0; i < 40; ++i) {
    problem.add_segment(1 + static_cast<std::int32_t>(random() % 20), 0, streams);
  }
  problem.fill();
  expect_close(run_kernels(problem, all_runs(true, {2}).back()), run_reference(problem), shape);
}

// As many as a GPU has warps for; a CPU's threads take a tenth of them in turn just as well.
std::int64_t many(std::int64_t streams) {
  return tests_cuda() ? streams : streams / 10;
}

// More streams and heads than a GPU's warps know at a time: 132 multiprocessors of 11 warps that know 32
// each.
TEST_P(AttentionTree, ManyStreamsAndHeads) {
  std::mt19937_64 random(seed() + 4);
  check_many_streams({.n_kv_heads = 32, .group = 1, .head_dim = 128, .dtype = GetParam()}, many(2500), 3, 40,
                     random);
}

// More units than warps beside tiles know at a time, and a segment that takes longer than they do.
TEST_P(AttentionTree, ManyStreamsBesideALongSegment) {
  if (!tests_cuda()) GTEST_SKIP() << "of the GPU: the reference takes seconds";
  std::mt19937_64 random(seed() + 8);
  check_many_streams({.n_kv_heads = 32, .group = 1, .head_dim = 128, .dtype = GetParam()}, 140, 3, 6000,
                     random);
}

// Several a warp, of several blocks of keys each; tokens apart, and side by side.
TEST_P(AttentionTree, ManyLongStreams) {
  std::mt19937_64 random(seed() + 5);
  for (const std::int64_t padding : {8, 0}) {
    check_many_streams(
        {.n_kv_heads = 1, .group = 4, .head_dim = 128, .dtype = GetParam(), .token_padding = padding},
        many(1500), 200, 300, random);
  }
  // Tiles of one warpgroup that its rows do not fill.
  for (const std::int64_t group : {3, 7}) {
    check_many_streams({.n_kv_heads = 1, .group = group, .head_dim = 128, .dtype = GetParam()}, many(300),
                       400, 300, random);
  }
}

// A segment that has fewer rows than a whole tile, and their own tokens beside it.
TEST_P(AttentionTree, StreamsBesideHalfATile) {
  std::mt19937_64 random(seed() + 9);
  for (const std::int64_t group : {3, 4, 8}) {
    for (const std::int64_t padding : {8, 0}) {
      check_many_streams(
          {.n_kv_heads = 2, .group = group, .head_dim = 128, .dtype = GetParam(), .token_padding = padding},
          64 / group, 150, 3001, random);
    }
  }
}

TEST_P(AttentionTree, ResultsDoNotDependOnThreads) {
  std::mt19937_64 random(seed() + 3);
  TreeShape shape{.n_kv_heads = 2,
                  .group = 4,
                  .head_dim = 64,
                  .dtype = GetParam(),
                  .depth = 2,
                  .fan_out = 3,
                  .most_rows = 40,
                  .lengths = {65, 300, 700}};
  TreeProblem problem(shape, random());
  problem.fill();
  const auto result = [&](int threads) {
    std::vector<AttentionResult> results;
    for (const KernelRun& run : all_runs(true, {threads})) results.push_back(run_kernels(problem, run));
    return results;
  };
  const auto one = result(1);
  for (const int threads : {2, 5}) {
    const auto many = result(threads);
    for (std::size_t i = 0; i < one.size(); ++i) {
      EXPECT_EQ(many[i].out, one[i].out) << i;
      EXPECT_EQ(many[i].lse, one[i].lse) << i;
    }
  }
}

INSTANTIATE_TEST_SUITE_P(, AttentionTree, ::testing::ValuesIn(every_dtype),
                         [](const auto& instance) { return std::string(name_of(instance.param)); });

}  // namespace
}  // namespace hydrajob::test
