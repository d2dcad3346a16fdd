// The cost model against numbers worked out by hand and against plain counting, token by token and matrix by
// matrix.
#include "grid/cost_model.hpp"

#include <algorithm>
#include <random>

#include <fmt/format.h>
#include <gtest/gtest.h>

#include "grid/token_counts.hpp"
#include "unit/grid/support.hpp"

namespace hydrajob {
namespace {

// Projections: qkv 8 x (2 + 2) 4 = 128, o 8 x 8 = 64, MLP 3 x 8 x 16 = 384: 576 weights. Head: 80.
TEST(CostModel, ByHand) {
  const RunCost cost = cost_of(tiny_generate(), {});
  // Prefill: 3 rows; pairs 1 + 2 + 3 = 6, each 4 x 2 heads x 4; one row of logits; 20 logits sampled.
  EXPECT_EQ(cost.prefill.flops, 2 * 3 * 576 + 6 * 32 + 2 * 80 + 20);
  // Weights once; 3 tokens written and 3 read, 2 x 1 head x 4 x 2 bytes each; head and 10 logits; 20 logits
  // read.
  EXPECT_EQ(cost.prefill.bytes, 576 * 2 + 6 * 16 + 80 * 2 + 10 * 4 + 20 * 4);
  // Steps see 3 + 1 and 3 + 2 tokens; the mean 4.5. Read: the prefix once, 1.5 own tokens a sequence; 2
  // written.
  EXPECT_EQ(cost.decode_step.flops, 2 * 2 * 576 + 2 * 4.5 * 32 + 2 * 2 * 80 + 20);
  EXPECT_EQ(cost.decode_step.bytes, 576 * 2 + (3 + 2 * 1.5 + 2) * 16 + 80 * 2 + 20 * 4 + 20 * 4);
  EXPECT_EQ(cost.iteration.flops, cost.prefill.flops + 2 * cost.decode_step.flops);
  // Norms: 3 x 8. Tables: 2 x 80.
  EXPECT_EQ(cost.memory.weights, 2 * (576 + 24 + 160));
  EXPECT_EQ(cost.memory.kv_cache, (3 + 2 * 3) * 16);
  EXPECT_EQ(cost.predicted_s, 0);
}

// Two GPUs whose links make an all-reduce take 2 + its bytes, and a gathering of b bytes each 1 + b.
TEST(CostModel, CollectivesByHand) {
  RunSpec s = tiny_generate();
  s.tensor_parallel = 2;
  s.device = "cuda";
  Ceilings linked;
  linked.links.node = {1, 1};
  // Prefill: the embedding of 3 rows of 8, f32, and two sums of a layer, bf16; of each draw 8 bytes.
  const double prefill_s = (2 + 3 * 8 * 4) + 2 * (2 + 3 * 8 * 2) + (1 + 2 * 8);
  const double step_s = (2 + 2 * 8 * 4) + 2 * (2 + 2 * 8 * 2) + (1 + 2 * 8);
  RunCost cost = cost_of(s, linked);
  EXPECT_EQ(cost.prefill.collectives_s, prefill_s);
  EXPECT_EQ(cost.decode_step.collectives_s, step_s);
  EXPECT_EQ(cost.iteration.collectives_s, prefill_s + 2 * step_s);
  EXPECT_EQ(cost.iteration.predicted_s, cost.iteration.collectives_s);
  EXPECT_EQ(cost.iteration.roofline_s, 0);
  EXPECT_EQ(cost.predicted_s, 5 * (prefill_s + 2 * step_s));
  EXPECT_EQ(cost.collectives_s, cost.predicted_s);
  // In steps a GPU reads what its peers have.
  linked.links.peer = {10, 4};
  cost = cost_of(s, linked);
  EXPECT_EQ(cost.prefill.collectives_s, prefill_s);
  EXPECT_EQ(cost.decode_step.collectives_s, (2 + 2 * 8 * 4) + 2 * (10 + 2 * 8 * 2 / 4.0) + (1 + 2 * 8));
  // CPUs add up f32, and read nothing of each other.
  s.device = "cpu";
  EXPECT_EQ(cost_of(s, linked).decode_step.collectives_s, 3 * (2 + 2 * 8 * 4) + (1 + 2 * 8));
  // Of the nucleus the maximum and three histograms of 2048 counts of 8 bytes.
  s.temperature = 1;
  s.top_p = 0.5;
  EXPECT_EQ(cost_of(s, linked).decode_step.collectives_s,
            3 * (2 + 2 * 8 * 4) + (1 + 2 * 8) + (2 + 2 * 4) + 3 * (2 + 2 * 2048 * 8));
  s.tensor_parallel = 1;
  EXPECT_EQ(cost_of(s, linked).predicted_s, 0);
}

TEST(CostModel, CollectivesOfSeveralPassesStartAsOften) {
  RunSpec s = tiny_generate();
  s.tensor_parallel = 2;
  s.device = "cuda";
  s.prefill_chunk = 1;
  Ceilings linked;
  linked.links.node = {1, 1};
  EXPECT_EQ(cost_of(s, linked).prefill.collectives_s, 3 * ((2 + 8 * 4) + 2 * (2 + 8 * 2)) + (1 + 2 * 8));
}

// GPUs on two nodes have no memory that they can read, and a link of their own between the nodes.
TEST(CostModel, GroupsThatSpanNodesUseTheNetwork) {
  RunSpec s = tiny_generate();
  s.tensor_parallel = 2;
  s.device = "cuda";
  Ceilings linked;
  linked.links.node = {1, 1};
  linked.links.peer = {10, 4};
  linked.links.network = {100, 1};
  linked.links.ranks_per_node = 2;
  const double within = cost_of(s, linked).decode_step.collectives_s;
  EXPECT_EQ(within, (2 + 2 * 8 * 4) + 2 * (10 + 8) + (1 + 2 * 8));
  linked.links.ranks_per_node = 1;
  EXPECT_EQ(cost_of(s, linked).decode_step.collectives_s,
            (200 + 2 * 8 * 4) + 2 * (200 + 2 * 8 * 2) + (100 + 2 * 8));
  // The peers' rule holds for 8 GPUs and 32 MiB of parts that a rank reads at most.
  linked.links.ranks_per_node = 16;
  s.tensor_parallel = 16;
  s.architecture.n_heads = s.architecture.n_kv_heads = 16;
  EXPECT_EQ(cost_of(s, linked).memory.peers, 0);
  s.tensor_parallel = 2;
  s.batch = 1 << 21;
  EXPECT_EQ(cost_of(s, linked).memory.peers, 2.0 * s.batch * 8 * 2 + 512 * 9 * 4);
  s.batch += 1;
  EXPECT_EQ(cost_of(s, linked).memory.peers, 0);
  const double rows = static_cast<double>(s.batch);
  EXPECT_EQ(cost_of(s, linked).decode_step.collectives_s,
            (2 + rows * 8 * 4) + 2 * (2 + rows * 8 * 2) + (1 + rows * 8));
}

// The figures are those of ByHand: the roofline stays, the prediction has what is reached.
TEST(CostModel, PredictionHasWhatIsReachedOfTheCeilings) {
  Ceilings rate{1, 0, 0, "test"};
  rate.efficiency = {0.5, 0.25, 0.125, 100, 10};
  const double products = 2 * 3 * 576 + 2 * 80 + 20, attention = 6 * 32;
  RunCost cost = cost_of(tiny_generate(), rate);
  EXPECT_EQ(cost.prefill.roofline_s, products + attention);
  EXPECT_EQ(cost.prefill.predicted_s, 2 * products + 4 * attention + 100 + 10);
  Ceilings bandwidth{0, 1, 0, "test"};
  bandwidth.efficiency = rate.efficiency;
  cost = cost_of(tiny_generate(), bandwidth);
  EXPECT_EQ(cost.decode_step.roofline_s, cost.decode_step.bytes);
  EXPECT_EQ(cost.decode_step.predicted_s, 8 * cost.decode_step.bytes + 100 + 10);
  RunSpec without = tiny_generate();
  without.mode = Mode::noattention;
  cost = cost_of(without, bandwidth);
  EXPECT_EQ(cost.decode_step.predicted_s, 8 * cost.decode_step.bytes + 100);
  bandwidth.efficiency = {};
  cost = cost_of(tiny_generate(), bandwidth);
  EXPECT_EQ(cost.predicted_s, 5 * cost.iteration.roofline_s);
}

// Random weights are made where they are; those of a file come at its rate.
TEST(CostModel, LoadingIsOfFiles) {
  RunSpec s = tiny_generate();
  Ceilings c;
  c.load_bytes_per_s = 10;
  EXPECT_EQ(cost_of(s, c).load_s, 0);
  s.weights = "model.h5";
  EXPECT_EQ(cost_of(s, c).load_s, 2 * (576 + 24 + 160) / 10.0);
  EXPECT_EQ(cost_of(s, {}).load_s, 0);
}

// What is multiplied with is held as f32 where there are no bf16 products; the embedding and norms are not.
TEST(CostModel, MemoryHoldsWeightsAsTheyArePacked) {
  Ceilings widened;
  widened.packed_element_bytes = 4;
  const RunCost cost = cost_of(tiny_generate(), widened);
  EXPECT_EQ(cost.memory.weights, 4 * (576 + 80) + 2 * (24 + 80));
  EXPECT_EQ(cost.prefill.bytes, cost_of(tiny_generate(), {}).prefill.bytes);
}

TEST(CostModel, ModesReadDifferently) {
  RunSpec s = tiny_generate();
  const double shared = cost_of(s, {}).decode_step.bytes;
  s.mode = Mode::paged;
  EXPECT_EQ(cost_of(s, {}).decode_step.bytes - shared, 3 * 16);
  EXPECT_EQ(cost_of(s, {}).memory.kv_cache, (3 + 2 * 3) * 16);
  s.mode = Mode::noshared;
  EXPECT_EQ(cost_of(s, {}).decode_step.bytes - shared, 3 * 16);
  EXPECT_EQ(cost_of(s, {}).memory.kv_cache, (3 + 2 * (3 + 3)) * 16);
  EXPECT_EQ(cost_of(s, {}).prefill.bytes, cost_of(tiny_generate(), {}).prefill.bytes + 2 * 2 * 3 * 16);
  s.mode = Mode::noattention;
  EXPECT_EQ(cost_of(s, {}).memory.kv_cache, 0);
  EXPECT_EQ(cost_of(s, {}).memory.workspace, 0);
  EXPECT_EQ(cost_of(s, {}).decode_step.flops, 2 * 2 * 576 + 2 * 2 * 80 + 20);
}

TEST(CostModel, AttentionByHand) {
  RunSpec s;
  s.workload = WorkloadKind::attention;
  s.n_heads = 4;
  s.n_kv_heads = 2;
  s.head_dim = 8;
  s.batch = 6;
  s.tree = {{1, 10}, {2, 5}};
  s.prefix = 15;
  s.suffix = 7;
  s.dtype = DType::f32;
  s.l2 = L2State::warm;
  const RunCost cost = cost_of(s, {});
  EXPECT_EQ(cost.decode_step.flops, 4.0 * 6 * 22 * 4 * 8);
  EXPECT_EQ(cost.decode_step.bytes, (10 + 2 * 5 + 6 * 7) * (2 * 2 * 8 * 4) + 2 * 6 * 4 * 8 * 4);
  EXPECT_EQ(cost.iteration.flops, cost.decode_step.flops);
  EXPECT_EQ(cost.prefill.flops, 0);
  EXPECT_EQ(cost.memory.weights, 0);
  EXPECT_EQ(cost.memory.kv_cache, (20 + 6 * 8) * (2 * 2 * 8 * 4));
  EXPECT_EQ(cost.memory.workspace, 6 * 3 * 4 * (8 + 2) * 4);
  s.tensor_parallel = 4;  // one query head and one replicated KV head a rank
  EXPECT_EQ(cost_of(s, {}).decode_step.flops, 4.0 * 6 * 22 * 8);
  EXPECT_EQ(cost_of(s, {}).memory.kv_cache, (20 + 6 * 8) * (2 * 8 * 4));
  s.l2 = L2State::cold;
  const double arrays = 6 * (8 + 8 + 4) + 8 + 3 * (8 + 4 + 8 + 8);  // of streams and segments
  EXPECT_EQ(cost_of(s, {}).memory.activations, 2 * 6 * 8 * 4 + arrays + 256.0 * 1024 * 1024);
}

// A GPU's plans cut ranges into parts of 4 tokens at least, and have place for so many partial results more.
TEST(CostModel, WorkspaceHasPlaceForCutRanges) {
  RunSpec s = tiny_generate();
  s.architecture.n_heads = 2;
  s.new_tokens = 1;
  s.tree = {{1, 9}};
  s.prefix = 9;
  Ceilings cut;
  cut.shortest_part = 4;
  cut.spare_results = 1000;
  const auto plans = [](double items, double indices) { return items * 40 + indices * 8; };
  // Prefill: 9 rows, 2 heads, one range in 3 parts: 54 results of 4 + 2 floats. The step: 2 rows, a range in
  // 3 parts and one in 1. Items: one, and one for both rows and one for each; indices: a row's begin and its
  // ranges.
  const double plan_bytes = plans(1, 9 * 2) + plans(3, 2 * 3);
  EXPECT_EQ(cost_of(s, cut).memory.workspace, 54 * 6 * 4 + plan_bytes);
  cut.spare_results = 10;
  EXPECT_EQ(cost_of(s, cut).memory.workspace, (18 + 10) * 6 * 4 + plan_bytes);
  cut.kernels_bytes = 77;
  s.mode = Mode::noattention;
  EXPECT_EQ(cost_of(s, cut).memory.workspace, 77);
}

TEST(CostModel, RooflineAddsPartsThatCannotOverlap) {
  RunSpec s = tiny_generate();
  const RunCost counted = cost_of(s, {});
  const RunCost compute = cost_of(s, {1000, 0, 0, ""});
  EXPECT_DOUBLE_EQ(compute.prefill.roofline_s, counted.prefill.flops / 1000);
  const RunCost memory = cost_of(s, {0, 1000, 0, ""});
  EXPECT_DOUBLE_EQ(memory.prefill.roofline_s, counted.prefill.bytes / 1000);
  // FLOPs and bytes at the same rate: each part takes the larger of its own two.
  const RunCost both = cost_of(s, {1000, 1000, 0, ""});
  const double projections = std::max(2.0 * 3 * 576, 576.0 * 2);
  const double attention = std::max(6.0 * 32, 6.0 * 16);
  const double head = std::max(2.0 * 80, 80.0 * 2 + 40);
  const double sampling = std::max(20.0, 80.0);
  EXPECT_DOUBLE_EQ(both.prefill.roofline_s, (projections + attention + head + sampling) / 1000);
  EXPECT_DOUBLE_EQ(both.predicted_s, 5 * both.iteration.roofline_s);
}

TEST(CostModel, KnownModelSizes) {
  const auto weights = [](const char* model, int degree) {
    RunSpec s;
    s.architecture = load_architecture(std::string(HJ_SOURCE_DIR "/configs/models/") + model + ".yaml");
    s.tensor_parallel = degree;
    s.new_tokens = 1;
    s.prefix = 1;
    s.tree = {{1, 1}};
    return cost_of(s, {}).memory.weights / 2;
  };
  EXPECT_NEAR(weights("codellama-7b-instruct", 1), 6.739e9, 1e6);
  EXPECT_NEAR(weights("codellama-13b-instruct", 1), 13.016e9, 1e6);
  EXPECT_NEAR(weights("codellama-34b-instruct", 1), 33.744e9, 1e6);
  EXPECT_NEAR(weights("yi-6b-200k", 1), 6.061e9, 1e6);
  // One of 8 KV heads a rank, also at 16 ranks, where each is held twice.
  const double kv_head = 2.0 * 8192 * 128 * 48;
  EXPECT_NEAR(weights("codellama-34b-instruct", 16) * 16,
              weights("codellama-34b-instruct", 8) * 8 + 8 * kv_head, 2e7);
}

// --- plain counting ---

// One run of tokens: a node of the tree, or a sequence's prompt.
struct Stream {
  int parent = -1;  // index of the node above
  std::int64_t length = 0;
  bool prompt = false;
};

std::vector<Stream> streams_of(const RunSpec& s) {
  std::vector<Stream> streams;
  std::vector<int> above;
  for (const TreeLevel& level : s.tree) {
    std::vector<int> here;
    for (int j = 0; j < level.nodes; ++j) {
      const int parent = above.empty() ? -1 : above[static_cast<std::size_t>(j) * above.size() / level.nodes];
      here.push_back(static_cast<int>(streams.size()));
      streams.push_back({parent, level.length, false});
    }
    above = here;
  }
  for (int j = 0; j < s.batch; ++j) {
    const int parent = above.empty() ? -1 : above[static_cast<std::size_t>(j) * above.size() / s.batch];
    streams.push_back({parent, s.suffix, true});
  }
  return streams;
}

// Rows of streams of one depth below each node, and whether it is above them.
TokenCounts count_plainly(const RunSpec& s, SharedReads reads) {
  const std::vector<Stream> streams = streams_of(s);
  const std::int64_t chunk = s.prefill_chunk;
  const auto passes = [&](std::int64_t rows) { return static_cast<double>((rows + chunk - 1) / chunk); };
  const auto depth_of = [&](int i) {
    int depth = 0;
    for (int up = streams[i].parent; up >= 0; up = streams[up].parent) ++depth;
    return streams[i].prompt ? 1000 : depth;
  };
  TokenCounts counts;
  std::map<int, std::int64_t> rows_at;                     // by depth
  std::map<std::pair<int, int>, std::int64_t> rows_below;  // by (node above, depth of the streams)
  for (int i = 0; i < static_cast<int>(streams.size()); ++i) {
    const Stream& stream = streams[i];
    const bool copies = stream.prompt && reads == SharedReads::own_copy;
    const bool once = reads == SharedReads::once || (reads == SharedReads::own_copy && !stream.prompt);
    std::int64_t before = 0;
    for (int up = stream.parent; up >= 0; up = streams[up].parent) {
      before += streams[up].length;
      rows_below[{up, depth_of(i)}] += once ? stream.length : 0;
      if (!once && !copies) counts.read += passes(stream.length) * static_cast<double>(streams[up].length);
    }
    if (copies) counts.copied += static_cast<double>(before);
    rows_at[depth_of(i)] += stream.length;
    for (std::int64_t t = 0; t < stream.length; ++t) {
      counts.rows += 1;
      counts.seen += static_cast<double>(before + t + 1);
    }
    for (std::int64_t begin = 0; begin < stream.length; begin += chunk) {
      counts.read += static_cast<double>((copies ? before : 0) + std::min(begin + chunk, stream.length));
    }
  }
  for (const auto& [depth, rows] : rows_at) counts.passes += passes(rows);
  for (const auto& [key, rows] : rows_below)
    counts.read += passes(rows) * static_cast<double>(streams[key.first].length);
  return counts;
}

class RandomRuns {
 public:
  explicit RandomRuns(unsigned seed) : random_(seed) {}
  std::int64_t from(std::int64_t low, std::int64_t high) {
    return std::uniform_int_distribution<std::int64_t>(low, high)(random_);
  }
  RunSpec next() {
    RunSpec s;
    s.architecture = small_architecture();
    std::int64_t nodes = 1;
    for (std::int64_t depth = from(0, 4); depth > 0; --depth) {
      nodes *= from(1, 3);
      s.tree.push_back({nodes, from(0, 40)});
    }
    s.prefix = path_tokens(s.tree);
    s.batch = nodes * from(1, 4);
    s.suffix = from(0, 3) == 0 ? 0 : from(1, 30);
    s.new_tokens = from(1, 9);
    s.prefill_chunk = from(1, 64);
    s.tensor_parallel = static_cast<int>(std::int64_t{1} << from(0, 3));
    s.dtype = every_dtype[static_cast<std::size_t>(from(0, 2))];
    constexpr Mode modes[] = {Mode::hydragen, Mode::noshared, Mode::paged};
    s.mode = modes[from(0, 2)];
    return s;
  }

 private:
  std::mt19937 random_;
};

TEST(TokenCounts, ArePlainCounting) {
  const unsigned seed = std::random_device{}();
  SCOPED_TRACE(fmt::format("seed {}", seed));
  RandomRuns runs(seed);
  for (int i = 0; i < 2000; ++i) {
    const RunSpec s = runs.next();
    for (const auto reads : {SharedReads::once, SharedReads::per_sequence, SharedReads::own_copy}) {
      const TokenCounts counts = count_prefill(s, reads);
      const TokenCounts plain = count_plainly(s, reads);
      SCOPED_TRACE(fmt::format("tree {} batch {} suffix {} chunk {} reads {}", to_string(s.tree), s.batch,
                               s.suffix, s.prefill_chunk, static_cast<int>(reads)));
      ASSERT_EQ(counts.rows, plain.rows);
      ASSERT_EQ(counts.passes, plain.passes);
      ASSERT_EQ(counts.seen, plain.seen);
      ASSERT_EQ(counts.read, plain.read);
      ASSERT_EQ(counts.copied, plain.copied);
    }
  }
}

TEST(CostModel, OfNeedlesCountsTheDocumentOnce) {
  RunSpec s = RandomRuns(1).next();
  s.tree = {{1, 500}};
  s.prefix = 500;
  s.batch = 12;
  s.suffix = 7;
  s.new_tokens = 4;
  s.warmup = 2;
  s.iterations = 3;
  const Ceilings ceilings{1e12, 1e11, 0, "test"};
  for (const Mode mode : {Mode::hydragen, Mode::noshared, Mode::paged, Mode::noattention}) {
    s.mode = mode;
    s.workload = WorkloadKind::generate;
    const RunCost generate = cost_of(s, ceilings);
    s.workload = WorkloadKind::needles;
    const RunCost needles = cost_of(s, ceilings);
    EXPECT_EQ(generate.document.flops, 0);
    EXPECT_GT(needles.document.flops, 10 * needles.prefill.flops / 12);
    EXPECT_NEAR((needles.document.flops + needles.prefill.flops) / generate.prefill.flops, 1, 1e-12);
    EXPECT_NEAR((needles.document.bytes + needles.prefill.bytes) / generate.prefill.bytes, 1, 1e-12);
    EXPECT_EQ(needles.decode_step.flops, generate.decode_step.flops);
    EXPECT_EQ(needles.memory.total(), generate.memory.total());
    EXPECT_DOUBLE_EQ(needles.iteration.flops, needles.prefill.flops + 3 * needles.decode_step.flops);
    EXPECT_DOUBLE_EQ(needles.predicted_s, needles.document.roofline_s + 5 * needles.iteration.roofline_s);
  }
}

// All decode steps, one by one: their FLOPs, matrix by matrix, of one rank.
double decode_flops_plainly(const RunSpec& s) {
  const Architecture& a = s.architecture;
  const double heads = static_cast<double>(a.n_heads) / s.tensor_parallel;
  const double kv_heads = std::max(1.0, static_cast<double>(a.n_kv_heads) / s.tensor_parallel);
  const double vocab = static_cast<double>((a.vocab + s.tensor_parallel - 1) / s.tensor_parallel);
  const double d = static_cast<double>(a.head_dim);
  const double h = static_cast<double>(a.hidden);
  const double f = static_cast<double>(a.intermediate) / s.tensor_parallel;
  double flops = 0;
  for (std::int64_t step = 1; step < s.new_tokens; ++step) {
    for (std::int64_t row = 0; row < s.batch; ++row) {
      for (std::int64_t layer = 0; layer < a.n_layers; ++layer) {
        for (const double matrix :
             {h * heads * d, h * kv_heads * d, h * kv_heads * d, heads * d * h, h * f, h * f, f * h}) {
          flops += 2 * matrix;
        }
        const double seen = static_cast<double>(s.prefix + s.suffix + step);
        flops += 2 * 2 * heads * d * seen;  // scores, and their product with the values
      }
      flops += 2 * h * vocab + vocab;  // the head, and one comparison a logit
    }
  }
  return flops;
}

TEST(CostModel, DecodeIsPlainCounting) {
  const unsigned seed = std::random_device{}();
  SCOPED_TRACE(fmt::format("seed {}", seed));
  RandomRuns runs(seed);
  for (int i = 0; i < 300; ++i) {
    const RunSpec s = runs.next();
    const RunCost cost = cost_of(s, {});
    const double expected = decode_flops_plainly(s);
    ASSERT_NEAR(cost.iteration.flops - cost.prefill.flops, expected, 1e-9 * expected + 1e-6);
  }
}

}  // namespace
}  // namespace hydrajob
