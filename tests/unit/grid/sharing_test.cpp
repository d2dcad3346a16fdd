// Whether a shared segment is read once: by shapes, and as `auto` costs it.
#include <random>

#include <fmt/format.h>
#include <gtest/gtest.h>

#include "grid/cost_model.hpp"
#include "unit/grid/support.hpp"

namespace hydrajob {
namespace {

TEST(SharingPays, WhereReadsAreSaved) {
  EXPECT_TRUE(sharing_pays(64, 4096, 8, 8, 128, DType::bf16));
  EXPECT_FALSE(sharing_pays(1, 4096, 8, 8, 128, DType::bf16));
  EXPECT_FALSE(sharing_pays(64, 1, 8, 8, 128, DType::bf16));
  EXPECT_FALSE(sharing_pays(64, 0, 8, 8, 128, DType::bf16));
  EXPECT_FALSE(sharing_pays(0, 64, 8, 8, 128, DType::bf16));
}

// Eight query heads on a KV head have eight partial results for each token that is not read again.
TEST(SharingPays, LaterWhereHeadsAreGrouped) {
  EXPECT_TRUE(sharing_pays(64, 8, 8, 8, 128, DType::bf16));
  EXPECT_FALSE(sharing_pays(64, 8, 64, 8, 128, DType::bf16));
  EXPECT_TRUE(sharing_pays(64, 32, 64, 8, 128, DType::bf16));
}

TEST(CostModel, AutomaticIsOneOfTheTwo) {
  RunSpec s = tiny_generate();
  s.mode = Mode::automatic;
  RunSpec paged = s;
  paged.mode = Mode::paged;
  EXPECT_EQ(cost_of(s, {}).decode_step.bytes,
            cost_of(paged, {}).decode_step.bytes);  // 3 tokens: not worth it
  s.tree = {{1, 3000}};
  s.prefix = 3000;
  RunSpec shared = s;
  shared.mode = Mode::hydragen;
  EXPECT_EQ(cost_of(s, {}).decode_step.bytes, cost_of(shared, {}).decode_step.bytes);
}

// The plan says of a run what the engine will do.
TEST(CostModel, AutomaticKnowsGroupedHeads) {
  RunSpec s;
  s.workload = WorkloadKind::attention;
  s.mode = Mode::automatic;
  s.n_heads = 64;
  s.n_kv_heads = 8;
  s.head_dim = 128;
  s.batch = 64;
  s.prefix = 8;
  s.tree = {{1, 8}};
  RunSpec paged = s;
  paged.mode = Mode::paged;
  EXPECT_EQ(cost_of(s, {}).decode_step.bytes, cost_of(paged, {}).decode_step.bytes);
}

// However slow products are there: those of single sequences are not faster.
TEST(CostModel, AutomaticSharesOnEveryMachine) {
  RunSpec s = tiny_generate();
  s.mode = Mode::automatic;
  s.tree = {{1, 3000}};
  s.prefix = 3000;
  RunSpec shared = s;
  shared.mode = Mode::hydragen;
  const Ceilings slow_products{1, 1e12, 0, ""};
  EXPECT_EQ(cost_of(s, slow_products).decode_step.bytes, cost_of(shared, slow_products).decode_step.bytes);
}

}  // namespace
}  // namespace hydrajob
