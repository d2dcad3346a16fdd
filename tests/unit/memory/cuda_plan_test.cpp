// The bytes of a GPU's attention plans and of their workspace against the cost model's: plans are host
// arithmetic, so no GPU is needed, and random shapes of real models cost little.
#include <algorithm>
#include <random>
#include <string>
#include <vector>

#include <fmt/format.h>
#include <gtest/gtest.h>

#include "engine/forward.hpp"
#include "engine/sharing.hpp"
#include "kernels/cuda/attention_plan.hpp"
#include "workload/generate.hpp"

namespace hydrajob {
namespace {

constexpr cuda::Processors hopper{132, 232448, true};

Ceilings ceilings() {
  const AttentionCuts cuts = attention_cuts(hopper);
  Ceilings c;
  c.shortest_part = static_cast<double>(cuts.shortest_part);
  c.spare_results = static_cast<double>(cuts.spare_results);
  return c;
}

class RandomRuns {
 public:
  explicit RandomRuns(unsigned seed) : random_(seed) {}

  RunSpec next() {
    RunSpec s;
    Architecture& a = s.architecture;
    const bool large = from(0, 1) == 0;
    a.n_layers = large ? 32 : 22;
    a.hidden = large ? 4096 : 2048;
    a.intermediate = large ? 11008 : 5632;
    a.n_heads = 32;
    a.n_kv_heads = from(0, 1) == 0 ? 32 : 4;
    a.head_dim = a.hidden / a.n_heads;
    a.vocab = 32000;
    a.max_positions = std::int64_t{1} << 20;
    std::int64_t nodes = 1;
    for (std::int64_t depth = from(0, 3); depth > 0; --depth) {
      s.tree.push_back({nodes, length(16)});
      nodes *= from(1, 4);
    }
    s.prefix = path_tokens(s.tree);
    s.batch = (s.tree.empty() ? 1 : s.tree.back().nodes) * (std::int64_t{1} << from(0, 9));
    s.suffix = s.tree.empty() || from(0, 1) == 0 ? length(12) : 0;
    s.new_tokens = length(11);
    constexpr Mode modes[] = {Mode::hydragen, Mode::noshared, Mode::paged, Mode::automatic};
    s.mode = modes[from(0, 3)];
    return s;
  }

 private:
  std::int64_t from(std::int64_t low, std::int64_t high) {
    return std::uniform_int_distribution<std::int64_t>(low, high)(random_);
  }
  std::int64_t length(int bits) { return from(1, std::int64_t{1} << from(0, bits)); }

  std::mt19937 random_;
};

// The workspace of the pass that wants most, and all plans.
double planned_by_kernels(const RunSpec& spec, Device& device) {
  Model model;
  model.architecture = spec.architecture;
  model.dtype = spec.dtype;
  model.n_heads = spec.architecture.n_heads;
  model.n_kv_heads = spec.architecture.n_kv_heads;
  const BatchLayout layout = make_layout(make_batch(spec), {spec.mode == Mode::noshared, spec.prefill_chunk});
  const bool share = shares_segments(spec.mode, layout.decode, attention_shape(model, layout.decode, true));
  std::size_t workspace = 0, plans = 0;
  const auto add = [&](const Pass& pass, std::int64_t growth) {
    cuda::Processors processors = hopper;
    processors.mixed = spec.architecture.head_dim == 128;
    const auto work =
        divide_work(attention_shape(model, pass, share), static_cast<std::int32_t>(growth), processors);
    EXPECT_LE(work.parts, work.room);
    const cuda::CudaAttentionPlan plan(work, spec.architecture.head_dim, device);
    workspace = std::max(workspace, plan.workspace_bytes());
    plans += plan.bytes();
  };
  for (const Pass& pass : layout.prefill) add(pass, 0);
  add(layout.decode, spec.new_tokens);
  return static_cast<double>(workspace + plans);
}

TEST(CudaPlans, InverseOfEveryGroupDividesEveryPackedRow) {
  for (std::uint32_t group = 1; group <= cuda::tile_rows; ++group) {
    for (std::uint32_t packed = 0; packed < cuda::tile_rows; ++packed) {
      ASSERT_EQ(packed * cuda::inverse_of_group(group) >> 16, packed / group) << packed << " / " << group;
    }
  }
}

TEST(CudaPlans, AreAsLargeAsTheCostModelSays) {
  const unsigned seed = std::random_device{}();
  SCOPED_TRACE(fmt::format("seed {}", seed));
  RandomRuns runs(seed);
  const auto device = make_device({});
  double least = 0, most = 0;
  for (int i = 0; i < 200; ++i) {
    const RunSpec spec = runs.next();
    const MemoryCost memory = cost_of(spec, ceilings()).memory;
    const double difference = (memory.workspace - planned_by_kernels(spec, *device)) / memory.total();
    least = std::min(least, difference);
    most = std::max(most, difference);
    EXPECT_LT(std::abs(difference), 0.01) << fmt::format(
        "{} tree {} batch {} suffix {} new {} heads {}/{} of {}: {} of {} B", to_string(spec.mode),
        to_string(spec.tree), spec.batch, spec.suffix, spec.new_tokens, spec.architecture.n_heads,
        spec.architecture.n_kv_heads, spec.architecture.head_dim, memory.workspace, memory.total());
  }
  RecordProperty("least", std::to_string(least));
  RecordProperty("most", std::to_string(most));
  fmt::print("planned minus held, in parts of the whole: {:.5f} to {:.5f}\n", least, most);
}

// Streams of a row each under one segment, which the last `unseen` of them do not see.
cuda::WorkList decode_work(std::int64_t n_heads, std::int64_t n_kv_heads, std::int64_t batch,
                           std::int32_t prefix, std::int32_t own, DType dtype = DType::bf16,
                           std::int32_t growth = 0, std::int64_t unseen = 0) {
  std::vector<std::int64_t> rows, first;
  for (std::int64_t s = 0; s <= batch; ++s) rows.push_back(s);
  for (std::int64_t s = 0; s < batch; ++s) first.push_back(prefix + s * own);
  const std::vector<std::int32_t> lengths(static_cast<std::size_t>(batch), own);
  const std::int64_t segment_first = 0, row_begin = 0, row_end = batch - unseen;
  AttentionArgs args{};
  args.n_heads = n_heads;
  args.n_kv_heads = n_kv_heads;
  args.head_dim = 128;
  args.dtype = dtype;
  args.share = true;
  args.n_rows = args.n_streams = batch;
  args.stream_row = rows.data();
  args.own_first = first.data();
  args.own_length = lengths.data();
  args.n_segments = 1;
  args.segment_first = &segment_first;
  args.segment_length = &prefix;
  args.segment_row_begin = &row_begin;
  args.segment_row_end = &row_end;
  return divide_work(args, growth, hopper);
}

TEST(CudaPlans, ReadBesideTilesWhatTheseLeaveTimeFor) {
  EXPECT_EQ(decode_work(8, 1, 4096, 8192, 128).reading_first, 0);
  EXPECT_EQ(decode_work(8, 1, 512, 1024, 16).reading_first, 0);
  EXPECT_EQ(decode_work(32, 8, 64, 65536, 64).reading_first, 0);
  EXPECT_EQ(decode_work(8, 1, 1024, 2048, 512).reading_first, 0);
  EXPECT_EQ(decode_work(32, 32, 1024, 16256, 64).reading_first, 0);
}

TEST(CudaPlans, TilesAreOfOneWarpgroupWhereReadingTakesLonger) {
  EXPECT_EQ(decode_work(8, 1, 1024, 2048, 128).tile_groups, 1);
  EXPECT_EQ(decode_work(8, 1, 4096, 8192, 512).tile_groups, 1);
  EXPECT_EQ(decode_work(8, 1, 2048, 4096, 128).tile_groups, 2);
  EXPECT_EQ(decode_work(8, 1, 4096, 8192, 16).tile_groups, 2);
  EXPECT_EQ(decode_work(8, 1, 512, 8192, 0).tile_groups, 2) << "there is nothing to read";
  EXPECT_EQ(decode_work(128, 1, 64, 512, 512).tile_groups, 2) << "there are no items of few rows";
}

// A plan serves all steps of a batch, of which only the last reads all that it plans for.
TEST(CudaPlans, TilesAreChosenByWhatIsReadHalfway) {
  EXPECT_EQ(decode_work(32, 32, 1024, 16256, 128).tile_groups, 1);
  EXPECT_EQ(decode_work(32, 32, 1024, 16256, 0, DType::bf16, 128).tile_groups, 2);
  EXPECT_EQ(decode_work(8, 1, 512, 1024, 0, DType::bf16, 512).tile_groups, 1);
}

TEST(CudaPlans, TellWhereAllRowsAreInAsManyParts) {
  const cuda::WorkList even = decode_work(8, 1, 512, 1024, 16);
  EXPECT_GT(even.parts_of_each, 1);
  ASSERT_EQ(even.row_parts_begin.size(), 513u);
  for (std::size_t row = 0; row <= 512; ++row) {
    ASSERT_EQ(even.row_parts_begin[row], static_cast<std::int64_t>(row) * even.parts_of_each) << row;
  }
  EXPECT_EQ(decode_work(8, 1, 512, 0, 64).parts_of_each, 1);
  EXPECT_EQ(decode_work(8, 1, 512, 0, 0).parts_of_each, 0) << "no item would write zeros";
  EXPECT_EQ(decode_work(8, 1, 512, 1024, 16, DType::bf16, 0, 1).parts_of_each, 0);
}

TEST(CudaPlans, ReadFirstWhatTakesLongerThanTheTiles) {
  EXPECT_GE(decode_work(32, 32, 1024, 1024, 16).reading_first, 66);
  EXPECT_GE(decode_work(32, 32, 1024, 1024, 64).reading_first, 66);
  EXPECT_LT(decode_work(32, 32, 1024, 1024, 64).reading_first, 132) << "none is left for the tiles";
}

// Without tiles there is nothing to be beside of.
TEST(CudaPlans, OfFewRowsAloneReadNothingFirst) {
  const cuda::WorkList work = decode_work(8, 1, 512, 0, 64);
  EXPECT_EQ(work.reading_first, 0);
  EXPECT_TRUE(work.items[static_cast<int>(cuda::ItemKind::tile)].empty());
}

TEST(CudaPlans, AreOfTensorCoresInBothTypesThatTheyMultiply) {
  const auto items = [](DType dtype, cuda::ItemKind kind) {
    return decode_work(8, 1, 512, 1024, 16, dtype).items[static_cast<int>(kind)].size();
  };
  for (const cuda::ItemKind kind : {cuda::ItemKind::tile, cuda::ItemKind::few}) {
    EXPECT_GT(items(DType::f16, kind), 0u);
    EXPECT_EQ(items(DType::f16, kind), items(DType::bf16, kind));
    EXPECT_EQ(items(DType::f32, kind), 0u);
  }
  EXPECT_EQ(items(DType::f16, cuda::ItemKind::plain), 0u);
  EXPECT_GT(items(DType::f32, cuda::ItemKind::plain), 0u);
}

}  // namespace
}  // namespace hydrajob
