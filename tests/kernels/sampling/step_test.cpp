// The end of a step: the winner over shards, and what moves on.
#include <vector>

#include "kernels/tensor.hpp"

namespace hydrajob::test {
namespace {

class StepTest : public KernelTest {
 protected:
  std::vector<Kernels*> both() { return {tested_.get(), reference_.get()}; }
};

// Of each shard: values of all rows, then their ids.
std::vector<std::int32_t> message(const std::vector<std::vector<float>>& values,
                                  const std::vector<std::vector<std::int32_t>>& ids) {
  std::vector<std::int32_t> words;
  for (std::size_t shard = 0; shard < values.size(); ++shard) {
    for (const float value : values[shard]) {
      std::int32_t word;
      std::memcpy(&word, &value, sizeof word);
      words.push_back(word);
    }
    words.insert(words.end(), ids[shard].begin(), ids[shard].end());
  }
  return words;
}

TEST_F(StepTest, TheLargestOfTheShardsWinsAndOfEqualOnesTheFirst) {
  const float none = -INFINITY;
  const auto best = message({{1, 5, none, 2}, {3, 5, none, 1}, {2, 4, none, 9}},
                            {{10, 11, 12, 13}, {20, 21, 22, 23}, {30, 31, 32, 33}});
  for (Kernels* kernels : both()) {
    std::vector<std::int32_t> ids(4, -1);
    kernels->choose(best.data(), 3, ids.data(), 4, stream_);
    EXPECT_EQ(ids, (std::vector<std::int32_t>{20, 11, 12, 33}));
  }
}

TEST_F(StepTest, OneShardIsItsOwnWinner) {
  const std::int64_t rows = 1337;  // more than one block of threads
  std::vector<float> values(rows);
  std::vector<std::int32_t> expected(rows);
  for (auto& id : expected) id = static_cast<std::int32_t>(random_() % 50000);
  for (Kernels* kernels : both()) {
    std::vector<std::int32_t> ids(rows, -1);
    kernels->choose(message({values}, {expected}).data(), 1, ids.data(), rows, stream_);
    EXPECT_EQ(ids, expected);
  }
}

TEST_F(StepTest, EndKeepsTheIdsAndMovesEveryRowOn) {
  const std::int64_t rows = 1337, steps = 4;
  for (Kernels* kernels : both()) {
    std::vector<std::int32_t> history(rows * steps, -7), step(rows, 0), positions(rows), own_length(rows, 3);
    std::vector<std::int64_t> slots(rows);
    for (std::int64_t r = 0; r < rows; ++r) {
      positions[r] = static_cast<std::int32_t>(r);
      slots[r] = 100 * r;
    }
    std::vector<std::vector<std::int32_t>> drawn;
    for (std::int64_t s = 0; s < steps - 1; ++s) {
      drawn.emplace_back(rows);
      for (auto& id : drawn.back()) id = static_cast<std::int32_t>(random_() % 50000);
      const bool first = s == 0;  // the prompt's: the rows stay where they are
      kernels->end_step(drawn.back().data(), history.data(), step.data(), first ? nullptr : positions.data(),
                        first ? nullptr : slots.data(), first ? nullptr : own_length.data(), rows, stream_);
    }
    for (std::int64_t r = 0; r < rows; ++r) {
      for (std::int64_t s = 0; s < steps - 1; ++s) ASSERT_EQ(history[s * rows + r], drawn[s][r]);
      ASSERT_EQ(history[(steps - 1) * rows + r], -7);
      ASSERT_EQ(step[r], steps - 1);
      ASSERT_EQ(positions[r], r + steps - 2);
      ASSERT_EQ(slots[r], 100 * r + steps - 2);
      ASSERT_EQ(own_length[r], 3 + steps - 2);
    }
  }
}

}  // namespace
}  // namespace hydrajob::test
