// The reference itself: cases small enough to work out by hand, and the plain softmax without a tree.
#include <cmath>
#include <limits>
#include <vector>

#include <gtest/gtest.h>

#include "base/bf16.hpp"
#include "kernels/attention/tree_problem.hpp"
#include "kernels/reference/attention.hpp"

namespace hydrajob::test {
namespace {

// One head of one dimension: scores and outputs are plain numbers.
struct Scalar {
  std::vector<float> q{}, k{}, v{}, out{}, lse{};
  std::vector<std::int64_t> stream_row{}, own_first{}, segment_first{}, segment_row_begin{},
      segment_row_end{};
  std::vector<std::int32_t> own_length{}, segment_length{};

  void run() {
    out.assign(q.size(), -1);
    lse.assign(q.size(), -1);
    AttentionArgs args;
    args.q = q.data();
    args.out = out.data();
    args.lse = lse.data();
    args.kv = {k.data(), v.data(), static_cast<std::int64_t>(k.size()), 1};
    args.n_rows = static_cast<std::int64_t>(q.size());
    args.n_heads = args.n_kv_heads = args.head_dim = 1;
    args.scale = 0.5F;
    args.n_streams = static_cast<std::int64_t>(own_first.size());
    args.stream_row = stream_row.data();
    args.own_first = own_first.data();
    args.own_length = own_length.data();
    args.n_segments = static_cast<std::int64_t>(segment_first.size());
    args.segment_first = segment_first.data();
    args.segment_length = segment_length.data();
    args.segment_row_begin = segment_row_begin.data();
    args.segment_row_end = segment_row_end.data();
    reference::attention(args);
  }
};

TEST(AttentionReference, OneKeyGivesItsValue) {
  Scalar s{.q = {3}, .k = {2}, .v = {7}, .stream_row = {0, 1}, .own_first = {0}, .own_length = {1}};

  s.run();

  EXPECT_FLOAT_EQ(s.out[0], 7);
  EXPECT_FLOAT_EQ(s.lse[0], 3);  // 0.5 x 3 x 2
}

TEST(AttentionReference, RowsOfAStreamAreCausal) {
  Scalar s{.q = {0, 0, 0},
           .k = {1, 1, 1, 1},
           .v = {4, 8, 12, 16},
           .stream_row = {0, 3},
           .own_first = {0},
           .own_length = {4}};

  s.run();

  EXPECT_FLOAT_EQ(s.out[0], 6);
  EXPECT_FLOAT_EQ(s.out[1], 8);
  EXPECT_FLOAT_EQ(s.out[2], 10);
  EXPECT_FLOAT_EQ(s.lse[2], std::log(4.0F));
}

TEST(AttentionReference, ASegmentIsSeenByItsRowsAlone) {
  // exp(0.5 x 2 x ln 3) = 3: weights 3 and 1.
  Scalar s{.q = {2, 2},
           .k = {std::log(3.0F), 0, 5},
           .v = {8, 4, 1},
           .stream_row = {0, 1, 2},
           .own_first = {1, 2},
           .segment_first = {0},
           .segment_row_begin = {0},
           .segment_row_end = {1},
           .own_length = {1, 1},
           .segment_length = {1}};

  s.run();

  EXPECT_FLOAT_EQ(s.out[0], 7);
  EXPECT_FLOAT_EQ(s.lse[0], std::log(4.0F));
  EXPECT_FLOAT_EQ(s.out[1], 1);
}

TEST(AttentionReference, NothingVisibleIsZeroAndMinusInfinity) {
  Scalar s{.q = {2}, .k = {1}, .v = {1}, .stream_row = {0, 1}, .own_first = {0}, .own_length = {0}};

  s.run();

  EXPECT_EQ(s.out[0], 0);
  EXPECT_EQ(s.lse[0], -std::numeric_limits<float>::infinity());
}

// Written from the definition: row r of the whole sequence attends to everything above it.
TEST(AttentionReference, ATreeIsTheSoftmaxOfEachPath) {
  const TreeShape shape{
      .n_kv_heads = 2, .group = 3, .head_dim = 8, .depth = 3, .most_rows = 3, .lengths = {0, 1, 4}};
  TreeProblem problem(shape, 11);
  problem.fill();
  const AttentionArgs args = problem.args_f32();

  const AttentionResult result = run_reference(problem);

  for (std::int64_t stream = 0; stream < args.n_streams; ++stream) {
    for (std::int64_t row = args.stream_row[stream]; row < args.stream_row[stream + 1]; ++row) {
      for (std::int64_t head = 0; head < args.n_heads; ++head) {
        double sum = 0;
        std::vector<double> out(shape.head_dim);
        const auto add = [&](std::int64_t token) {
          const std::int64_t at = head / shape.group * args.kv.head_stride + token * args.kv.token_stride;
          double dot = 0;
          for (int d = 0; d < shape.head_dim; ++d) {
            dot += double{problem.q[(row * args.n_heads + head) * shape.head_dim + d]} * problem.k[at + d];
          }
          const double weight = std::exp(dot * args.scale);
          sum += weight;
          for (int d = 0; d < shape.head_dim; ++d) out[d] += weight * problem.v[at + d];
        };
        for (std::int64_t s = 0; s < args.n_segments; ++s) {
          const bool above = args.segment_row_begin[s] <= row && row < args.segment_row_end[s];
          for (int t = 0; above && t < args.segment_length[s]; ++t) add(args.segment_first[s] + t);
        }
        const std::int64_t seen = args.own_length[stream] - (args.stream_row[stream + 1] - 1 - row);
        for (std::int64_t t = 0; t < seen; ++t) add(args.own_first[stream] + t);
        for (int d = 0; d < shape.head_dim; ++d) {
          const double expected = sum > 0 ? out[d] / sum : 0;
          ASSERT_NEAR(result.out[(row * args.n_heads + head) * shape.head_dim + d], expected, 1e-5);
        }
      }
    }
  }
}

}  // namespace
}  // namespace hydrajob::test
