// What every row sees, rebuilt from the passes and compared with the tree itself.
#include "engine/layout.hpp"

#include <map>
#include <random>
#include <set>

#include <gtest/gtest.h>

#include "base/error.hpp"

using namespace hydrajob;

namespace {

struct RandomBatch {
  Batch batch;
  std::uint32_t seed;
};

std::vector<std::int32_t> random_tokens(std::mt19937& rng, int low, int high) {
  std::vector<std::int32_t> tokens(std::uniform_int_distribution<int>(low, high)(rng));
  for (auto& id : tokens) id = static_cast<std::int32_t>(rng() % 1000);
  return tokens;
}

RandomBatch random_batch() {
  RandomBatch result;
  result.seed = std::random_device{}();
  std::mt19937 rng(result.seed);
  Batch& b = result.batch;
  b.new_tokens = 1 + static_cast<std::int64_t>(rng() % 5);
  const int nodes = static_cast<int>(rng() % 7);
  for (int i = 0; i < nodes; ++i) {
    const int parent = static_cast<int>(rng() % (i + 1)) - 1;
    b.nodes.push_back({parent, random_tokens(rng, parent < 0 ? 1 : 0, 20)});
  }
  const int sequences = 1 + static_cast<int>(rng() % 9);
  for (int i = 0; i < sequences; ++i) {
    const int node = nodes == 0 ? -1 : static_cast<int>(rng() % (nodes + 1)) - 1;
    b.sequences.push_back({node, random_tokens(rng, node < 0 ? 1 : 0, 10)});
  }
  return result;
}

std::vector<std::int32_t> path_tokens(const Batch& b, int node) {
  if (node < 0) return {};
  auto tokens = path_tokens(b, b.nodes[node].parent);
  tokens.insert(tokens.end(), b.nodes[node].tokens.begin(), b.nodes[node].tokens.end());
  return tokens;
}

// The cache as a map from slot to (position, token), filled pass by pass as the engine does.
class Cache {
 public:
  void write(const Pass& pass) {
    for (std::int64_t row = 0; row < pass.n_rows(); ++row) {
      at_[pass.slots[row]] = {pass.positions[row], pass.ids[row]};
    }
  }
  void copy(const CacheCopy& copy) {
    for (std::int64_t t = 0; t < copy.tokens; ++t) at_[copy.to + t] = at_.at(copy.from + t);
  }
  // Tokens that a row of the pass sees, by position; fails on a position seen twice.
  std::vector<std::int32_t> seen(const Pass& pass, std::int64_t row) const {
    std::map<std::int32_t, std::int32_t> tokens;
    const auto add = [&](std::int64_t first, std::int64_t n) {
      for (std::int64_t t = 0; t < n; ++t) EXPECT_TRUE(tokens.insert(at_.at(first + t)).second);
    };
    for (std::int64_t g = 0; g < pass.n_segments(); ++g) {
      if (row >= pass.segment_row_begin[g] && row < pass.segment_row_end[g]) {
        add(pass.segment_first[g], pass.segment_length[g]);
      }
    }
    std::int64_t s = 0;
    while (pass.stream_row[s + 1] <= row) ++s;
    add(pass.own_first[s], pass.own_length[s] - (pass.stream_row[s + 1] - 1 - row));
    std::vector<std::int32_t> result;
    for (const auto& [position, id] : tokens) {
      EXPECT_EQ(position, static_cast<std::int32_t>(result.size()));
      result.push_back(id);
    }
    return result;
  }

 private:
  std::map<std::int64_t, std::pair<std::int32_t, std::int32_t>> at_;
};

void check_prefill(const BatchLayout& layout, const LayoutRequest& request, Cache& cache) {
  std::set<std::int64_t> logits_rows;
  for (std::size_t i = 0; i <= layout.prefill.size(); ++i) {
    if (i == layout.prompts_begin) {
      for (const CacheCopy& copy : layout.copies) cache.copy(copy);
    }
    if (i == layout.prefill.size()) break;
    const Pass& pass = layout.prefill[i];
    EXPECT_LE(pass.n_rows(), request.prefill_chunk);
    EXPECT_GT(pass.n_rows(), 0);
    cache.write(pass);
    for (std::int64_t row = 0; row < pass.n_rows(); ++row) {
      const auto seen = cache.seen(pass, row);
      ASSERT_EQ(static_cast<std::int32_t>(seen.size()), pass.positions[row] + 1);
      EXPECT_EQ(seen.back(), pass.ids[row]);
    }
    for (const auto& wanted : pass.wanted) EXPECT_TRUE(logits_rows.insert(wanted.target).second);
  }
  EXPECT_EQ(static_cast<std::int64_t>(logits_rows.size()), layout.n_logits_rows);
}

void check_decode(const Batch& batch, const BatchLayout& layout, Cache& cache) {
  Pass pass = layout.decode;
  std::set<std::int32_t> sequences(layout.sequence.begin(), layout.sequence.end());
  EXPECT_EQ(sequences.size(), batch.sequences.size());
  for (std::int64_t step = 1; step < batch.new_tokens; ++step) {
    cache.write(pass);
    for (std::int64_t row = 0; row < pass.n_rows(); ++row) {
      const Sequence& sequence = batch.sequences[layout.sequence[row]];
      auto expected = path_tokens(batch, sequence.node);
      expected.insert(expected.end(), sequence.prompt.begin(), sequence.prompt.end());
      expected.insert(expected.end(), step, 0);
      EXPECT_EQ(cache.seen(pass, row), expected);
      EXPECT_LT(pass.slots[row], layout.cache_tokens);
      EXPECT_LT(pass.positions[row], layout.positions);
    }
    for (std::int64_t row = 0; row < pass.n_rows(); ++row) {
      ++pass.positions[row];
      ++pass.slots[row];
      ++pass.own_length[row];
    }
  }
}

}  // namespace

TEST(Layout, EveryRowSeesExactlyItsPath) {
  for (int trial = 0; trial < 300; ++trial) {
    const RandomBatch random = random_batch();
    SCOPED_TRACE("seed " + std::to_string(random.seed));
    for (const bool copy_path : {false, true}) {
      const LayoutRequest request{copy_path, 1 + static_cast<std::int64_t>(random.seed % 40)};
      const BatchLayout layout = make_layout(random.batch, request);
      Cache cache;
      check_prefill(layout, request, cache);
      check_decode(random.batch, layout, cache);
    }
  }
}

TEST(Layout, SequencesOfOneNodeShareALogitsRow) {
  Batch batch;
  batch.nodes = {{-1, {1, 2, 3}}, {0, {}}};
  batch.sequences = {{0, {}}, {1, {}}, {1, {7}}, {0, {}}};
  const BatchLayout layout = make_layout(batch, {});
  EXPECT_EQ(layout.n_logits_rows, 2);
  EXPECT_EQ(layout.sequence, (std::vector<std::int32_t>{0, 3, 1, 2}));
  EXPECT_EQ(layout.logits_row, (std::vector<std::int32_t>{0, 0, 0, 1}));
}

// Of a batch that begins with the nodes of another, whose cache it takes over.
TEST(Layout, KeptNodesAreSeenWithoutBeingComputed) {
  Batch before;
  before.nodes = {{-1, {1, 2, 3}}, {0, {4, 5}}, {1, {6, 7, 8}}, {0, {9}}};
  before.sequences = {{2, {10}}, {3, {}}};
  Batch after = before;
  after.nodes[2].tokens = {6, 7};
  after.sequences = {{1, {}}, {2, {11}}, {3, {}}};
  after.new_tokens = 3;
  ASSERT_EQ(same_leading_nodes(before, after), 2u);

  Cache cache;
  for (const Pass& pass : make_layout(before, {}).prefill) cache.write(pass);
  const LayoutRequest request{false, 512, 2};
  const BatchLayout layout = make_layout(after, request);
  check_prefill(layout, request, cache);
  check_decode(after, layout, cache);
  std::int64_t rows = 0;
  for (const Pass& pass : layout.prefill) rows += pass.n_rows();
  EXPECT_EQ(rows, 1 + 2 + 1 + 1);  // node 1's last token, for its logits; nodes 2 and 3; a prompt
}

TEST(Layout, OnlyNodesInDepthFirstOrderKeepTheirPlaces) {
  Batch batch;
  batch.nodes = {{-1, {1}}, {0, {2}}, {-1, {3}}, {0, {4}}};  // the last stands before the third in the cache
  EXPECT_EQ(same_leading_nodes(batch, batch), 0u);
  batch.nodes[3].parent = 2;
  EXPECT_EQ(same_leading_nodes(batch, batch), 4u);
  Batch other = batch;
  other.nodes[1].tokens = {7};
  EXPECT_EQ(same_leading_nodes(batch, other), 1u);
}

TEST(Layout, RefusesWhatCannotBeGenerated) {
  Batch batch;
  batch.nodes = {{0, {1}}};
  batch.sequences = {{-1, {1}}};
  EXPECT_THROW(make_layout(batch, {}), UsageError);  // a node above itself
  batch.nodes = {{-1, {}}};
  batch.sequences = {{0, {}}};
  EXPECT_THROW(make_layout(batch, {}), UsageError);  // nothing to continue
  batch.sequences = {{5, {1}}};
  EXPECT_THROW(make_layout(batch, {}), UsageError);  // no such node
  batch.sequences = {{0, {1}}};
  batch.new_tokens = 0;
  EXPECT_THROW(make_layout(batch, {}), UsageError);
  batch.new_tokens = 1;
  EXPECT_THROW(make_layout(batch, {false, 0}), UsageError);
}
