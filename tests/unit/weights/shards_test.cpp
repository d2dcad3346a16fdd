// Which tensors a model has, and which rows a rank holds.
#include <algorithm>

#include <gtest/gtest.h>

#include "unit/weights/models.hpp"

namespace hydrajob {
namespace {

using test::find_tensor;
using test::grouped_model;
using test::odd_model;

TEST(Tensors, AreThoseOfTheArchitecture) {
  const Architecture a = grouped_model();
  const auto tensors = tensors_of(a);
  EXPECT_EQ(tensors.size(), 2u * 9 + 3);
  const auto expect = [&](const char* name, std::int64_t rows, std::int64_t cols, Split split) {
    const TensorInfo tensor = find_tensor(a, name);
    EXPECT_EQ(tensor.rows, rows) << name;
    EXPECT_EQ(tensor.cols, cols) << name;
    EXPECT_EQ(tensor.split, split) << name;
  };
  expect("embedding", 301, 48, Split::rows);
  expect("lm_head", 301, 48, Split::rows);
  expect("final_norm", 1, 48, Split::none);
  expect("layers.1.attention_norm", 1, 48, Split::none);
  expect("layers.1.mlp_norm", 1, 48, Split::none);
  expect("layers.1.attention.q", 48, 48, Split::rows);
  expect("layers.0.attention.k", 12, 48, Split::kv_heads);
  expect("layers.0.attention.v", 12, 48, Split::kv_heads);
  expect("layers.0.attention.o", 48, 48, Split::rows);
  expect("layers.0.mlp.gate", 120, 48, Split::rows);
  expect("layers.0.mlp.up", 120, 48, Split::rows);
  expect("layers.0.mlp.down", 120, 48, Split::rows);
}

TEST(Tensors, HaveNoHeadOfTheirOwnWhenTied) {
  EXPECT_EQ(find_tensor(odd_model(), "lm_head").rows, 0);
  EXPECT_EQ(find_tensor(grouped_model(), "lm_head").rows, 301);
}

void expect_partition(const TensorInfo& tensor, const Architecture& a, int degree) {
  std::int64_t next = 0;
  std::int64_t shortest = tensor.rows;
  std::int64_t longest = 0;
  for (int rank = 0; rank < degree; ++rank) {
    const RowRange rows = shard_of(tensor, a, rank, degree);
    EXPECT_EQ(rows.begin, next) << tensor.name << " rank " << rank << " of " << degree;
    next = rows.end;
    shortest = std::min(shortest, rows.count());
    longest = std::max(longest, rows.count());
  }
  EXPECT_EQ(next, tensor.rows) << tensor.name << " of " << degree;
  EXPECT_LE(longest - shortest, 1) << tensor.name << " of " << degree;
}

TEST(Shards, OfRowsCoverTheTensorOnce) {
  for (const int degree : {1, 2, 4, 8})
    for (const TensorInfo& tensor : tensors_of(grouped_model()))
      if (tensor.split == Split::rows) expect_partition(tensor, grouped_model(), degree);
  for (const int degree : {1, 3, 5})
    for (const TensorInfo& tensor : tensors_of(odd_model()))
      if (tensor.split != Split::none) expect_partition(tensor, odd_model(), degree);
}

TEST(Shards, OfNormsAreWhole) {
  const TensorInfo norm = find_tensor(grouped_model(), "final_norm");
  for (int rank = 0; rank < 8; ++rank) EXPECT_EQ(shard_of(norm, grouped_model(), rank, 8).count(), 1);
}

TEST(Shards, OfKvHeadsAreTheHeadThatTheRanksQueriesUse) {
  const Architecture a = grouped_model();
  const TensorInfo k = find_tensor(a, "layers.0.attention.k");
  const TensorInfo q = find_tensor(a, "layers.0.attention.q");
  for (const int degree : {1, 2, 4, 8}) {
    for (int rank = 0; rank < degree; ++rank) {
      const RowRange queries = shard_of(q, a, rank, degree);
      const RowRange kv = shard_of(k, a, rank, degree);
      const std::int64_t first = queries.begin / a.head_dim / a.group_size();
      const std::int64_t last = (queries.end / a.head_dim - 1) / a.group_size();
      EXPECT_EQ(kv.begin, first * a.head_dim) << rank << " of " << degree;
      EXPECT_EQ(kv.end, (last + 1) * a.head_dim) << rank << " of " << degree;
    }
  }
}

}  // namespace
}  // namespace hydrajob
