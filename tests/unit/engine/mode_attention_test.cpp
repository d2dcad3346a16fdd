// Attention of every mode, from the mode's own layout through the processor's kernels: each row of prefill
// and decode against the softmax of its whole path in f64, which knows of no cache, segment or copy.
#include <algorithm>
#include <cmath>
#include <cstddef>
#include <cstdlib>
#include <iostream>
#include <map>
#include <memory>
#include <random>
#include <string>
#include <utility>
#include <vector>

#include <gtest/gtest.h>

#include "base/element.hpp"
#include "device/device.hpp"
#include "engine/layout.hpp"
#include "engine/sharing.hpp"
#include "kernels/kernels.hpp"

using namespace hydrajob;

namespace {

// HJ_TEST_SEED repeats a run.
std::uint64_t test_seed() {
  static const std::uint64_t value = [] {
    const char* given = std::getenv("HJ_TEST_SEED");
    const std::uint64_t seed = given != nullptr ? std::strtoull(given, nullptr, 10) : std::random_device{}();
    std::cout << "HJ_TEST_SEED=" << seed << std::endl;
    return seed;
  }();
  return value;
}

struct Shape {
  std::int64_t n_kv_heads = 1;
  std::int64_t group = 1;
  std::int64_t head_dim = 64;
  DType dtype = DType::f32;

  std::int64_t n_heads() const { return n_kv_heads * group; }
  std::int64_t kv_elements() const { return n_kv_heads * head_dim; }
  std::int64_t row_elements() const { return n_heads() * head_dim; }
  float scale() const { return static_cast<float>(1 / std::sqrt(static_cast<double>(head_dim))); }
};

std::vector<double> random_row(std::int64_t n, const Shape& shape, std::mt19937_64& random) {
  std::normal_distribution<float> normal(0.1F, 1.4F);
  std::vector<double> row(static_cast<std::size_t>(n));
  for (double& x : row) {
    const float value = normal(random);
    x = with_element(shape.dtype, [&](auto element) { return static_cast<float>(decltype(element)(value)); });
  }
  return row;
}

// A tree whose tokens all have ids of their own, and what each token's query, key and value are. The token
// that a sequence draws first comes after all others.
class Problem {
 public:
  Problem(const Shape& shape, std::uint64_t seed) : shape_(shape), random_(seed) {}

  void add_node(int parent, std::int64_t length) { batch_.nodes.push_back({parent, new_tokens(length)}); }
  void add_sequence(int node, std::int64_t length) { batch_.sequences.push_back({node, new_tokens(length)}); }
  // Levels of nodes with ragged lengths, and sequences that hang anywhere.
  void grow(int depth, std::int64_t sequences) {
    const std::vector<std::int64_t> lengths{0, 1, 2, 15, 16, 17, 33, 64, 65};
    const auto any = [&] { return lengths[random_() % lengths.size()]; };
    add_node(-1, 1 + any());
    std::vector<int> above{0};
    for (int level = 1; level < depth; ++level) {
      std::vector<int> added;
      for (std::uint64_t n = 1 + random_() % 2; n > 0; --n) {
        added.push_back(static_cast<int>(batch_.nodes.size()));
        add_node(above[random_() % above.size()], any());
      }
      above = added;
    }
    for (std::int64_t i = 0; i < sequences; ++i) {
      const bool leaf = random_() % 4 != 0;
      const int node =
          leaf ? above[random_() % above.size()] : static_cast<int>(random_() % batch_.nodes.size());
      add_sequence(node, random_() % 3 == 0 ? 0 : any());
    }
  }
  void fill() {
    batch_.new_tokens = 3;
    for (std::int64_t id = 0; id < n_tokens_ + static_cast<std::int64_t>(batch_.sequences.size()); ++id) {
      q.push_back(random_row(shape_.row_elements(), shape_, random_));
      k.push_back(random_row(shape_.kv_elements(), shape_, random_));
      v.push_back(random_row(shape_.kv_elements(), shape_, random_));
    }
    for (const TreeNode& node : batch_.nodes) note(path(node.parent), node.tokens);
    for (std::size_t s = 0; s < batch_.sequences.size(); ++s) {
      std::vector<std::int32_t> own = batch_.sequences[s].prompt;
      own.push_back(drawn(static_cast<std::int32_t>(s)));
      note(path(batch_.sequences[s].node), own);
    }
  }

  const Batch& batch() const { return batch_; }
  const Shape& shape() const { return shape_; }
  std::uint64_t random() { return random_(); }
  std::int32_t drawn(std::int32_t sequence) const { return static_cast<std::int32_t>(n_tokens_) + sequence; }
  // Attention of the token's query over all tokens before it, with or without itself.
  const std::vector<double>& expected(std::int32_t id, bool with_itself) {
    std::vector<double>& out = expected_[{id, with_itself}];  // the same in every mode
    if (!out.empty()) return out;
    std::vector<std::int32_t> seen = before_.at(id);
    if (with_itself) seen.push_back(id);
    out.resize(static_cast<std::size_t>(shape_.row_elements()));
    for (std::int64_t head = 0; head < shape_.n_heads(); ++head) attend(id, head, seen, out);
    return out;
  }

  std::vector<std::vector<double>> q, k, v;  // by token id

 private:
  std::vector<std::int32_t> new_tokens(std::int64_t n) {
    std::vector<std::int32_t> ids;
    for (std::int64_t i = 0; i < n; ++i) ids.push_back(static_cast<std::int32_t>(n_tokens_++));
    return ids;
  }
  std::vector<std::int32_t> path(int node) const {
    if (node < 0) return {};
    auto ids = path(batch_.nodes[node].parent);
    ids.insert(ids.end(), batch_.nodes[node].tokens.begin(), batch_.nodes[node].tokens.end());
    return ids;
  }
  void note(std::vector<std::int32_t> seen, const std::vector<std::int32_t>& ids) {
    for (const std::int32_t id : ids) {
      before_[id] = seen;
      seen.push_back(id);
    }
  }
  void attend(std::int32_t id, std::int64_t head, const std::vector<std::int32_t>& seen,
              std::vector<double>& out) const {
    const std::int64_t at = head / shape_.group * shape_.head_dim;
    const double* query = q[id].data() + head * shape_.head_dim;
    std::vector<double> scores;
    for (const std::int32_t token : seen) {
      double dot = 0;
      for (std::int64_t d = 0; d < shape_.head_dim; ++d) dot += query[d] * k[token][at + d];
      scores.push_back(dot / std::sqrt(static_cast<double>(shape_.head_dim)));
    }
    const double highest = *std::max_element(scores.begin(), scores.end());
    double sum = 0;
    for (std::size_t i = 0; i < seen.size(); ++i) {
      const double weight = std::exp(scores[i] - highest);
      sum += weight;
      for (std::int64_t d = 0; d < shape_.head_dim; ++d) {
        out[head * shape_.head_dim + d] += weight * v[seen[i]][at + d];
      }
    }
    for (std::int64_t d = 0; d < shape_.head_dim; ++d) out[head * shape_.head_dim + d] /= sum;
  }

  Shape shape_;
  std::mt19937_64 random_;
  Batch batch_;
  std::int64_t n_tokens_ = 0;
  std::map<std::int32_t, std::vector<std::int32_t>> before_;  // id -> ids on the path above it
  std::map<std::pair<std::int32_t, bool>, std::vector<double>> expected_;
};

// Values as the kernels take them; NaN where nothing was written yet.
class Tensor {
 public:
  Tensor(std::int64_t elements, DType dtype)
      : dtype_(dtype),
        bytes_(static_cast<std::size_t>(elements) * size_of(dtype), std::byte{0xff}) {}  // NaN in every type
  void* data() { return bytes_.data(); }
  void put(std::int64_t at, const double* values, std::int64_t n) {
    with_element(dtype_, [&](auto element) {
      using T = decltype(element);
      auto* elements = reinterpret_cast<T*>(bytes_.data());
      for (std::int64_t i = 0; i < n; ++i) elements[at + i] = T(static_cast<float>(values[i]));
    });
  }
  void move(std::int64_t from, std::int64_t to, std::int64_t n) {
    const auto element = static_cast<std::int64_t>(size_of(dtype_));
    std::copy_n(bytes_.begin() + from * element, n * element, bytes_.begin() + to * element);
  }
  double at(std::int64_t i) const {
    return with_element(dtype_, [&](auto element) -> double {
      return static_cast<float>(reinterpret_cast<const decltype(element)*>(bytes_.data())[i]);
    });
  }

 private:
  DType dtype_;
  std::vector<std::byte> bytes_;
};

// A batch in one mode: the engine's way through its layout, with attention alone.
class ModeRun {
 public:
  ModeRun(Problem& problem, Mode mode)
      : problem_(problem),
        shape_(problem.shape()),
        layout_(make_layout(problem.batch(),
                            {mode == Mode::noshared, 1 + static_cast<std::int64_t>(problem.random() % 90)})),
        k_(layout_.cache_tokens * shape_.kv_elements(), shape_.dtype),
        v_(layout_.cache_tokens * shape_.kv_elements(), shape_.dtype) {
    share_ = shares_segments(mode, layout_.decode, args_of(layout_.decode));
  }

  bool shares() const { return share_; }
  const BatchLayout& layout() const { return layout_; }

  void check() {
    for (std::size_t i = 0; i <= layout_.prefill.size(); ++i) {
      if (i == layout_.prompts_begin) copy_paths();
      if (i < layout_.prefill.size()) check_pass(layout_.prefill[i], true);
    }
    Pass step = layout_.decode;
    for (std::int64_t row = 0; row < step.n_rows(); ++row)
      step.ids[row] = problem_.drawn(layout_.sequence[row]);
    check_pass(step, true);
    // As the workload `attention` asks: the cache alone, where a sequence may have no token of its own.
    for (std::int32_t& length : step.own_length) --length;
    check_pass(step, false);
  }

 private:
  AttentionArgs args_of(const Pass& pass) const {
    AttentionArgs args;
    args.n_rows = pass.n_rows();
    args.n_heads = shape_.n_heads();
    args.n_kv_heads = shape_.n_kv_heads;
    args.head_dim = shape_.head_dim;
    args.scale = shape_.scale();
    args.dtype = shape_.dtype;
    args.n_streams = pass.n_streams();
    args.stream_row = pass.stream_row.data();
    args.own_first = pass.own_first.data();
    args.own_length = pass.own_length.data();
    args.n_segments = pass.n_segments();
    args.segment_first = pass.segment_first.data();
    args.segment_length = pass.segment_length.data();
    args.segment_row_begin = pass.segment_row_begin.data();
    args.segment_row_end = pass.segment_row_end.data();
    args.share = share_;
    return args;
  }

  std::int64_t place(std::int64_t head, std::int64_t slot) const {
    return (head * layout_.cache_tokens + slot) * shape_.head_dim;
  }
  void copy_paths() {
    for (const CacheCopy& copy : layout_.copies) {
      for (std::int64_t head = 0; head < shape_.n_kv_heads; ++head) {
        for (Tensor* tensor : {&k_, &v_}) {
          tensor->move(place(head, copy.from), place(head, copy.to), copy.tokens * shape_.head_dim);
        }
      }
    }
  }
  void write(const Pass& pass, Tensor& q) {
    for (std::int64_t row = 0; row < pass.n_rows(); ++row) {
      const std::int32_t id = pass.ids[row];
      q.put(row * shape_.row_elements(), problem_.q[id].data(), shape_.row_elements());
      for (std::int64_t head = 0; head < shape_.n_kv_heads; ++head) {
        const std::int64_t at = place(head, pass.slots[row]);
        k_.put(at, problem_.k[id].data() + head * shape_.head_dim, shape_.head_dim);
        v_.put(at, problem_.v[id].data() + head * shape_.head_dim, shape_.head_dim);
      }
    }
  }
  void check_pass(const Pass& pass, bool with_itself) {
    Tensor q(pass.n_rows() * shape_.row_elements(), shape_.dtype);
    Tensor out(pass.n_rows() * shape_.row_elements(), shape_.dtype);
    write(pass, q);
    AttentionArgs args = args_of(pass);
    const auto plan = kernels_->plan_attention(args, 0);
    args.q = q.data();
    args.out = out.data();
    args.kv = {k_.data(), v_.data(), layout_.cache_tokens * shape_.head_dim, shape_.head_dim};
    args.workspace_bytes = plan->workspace_bytes();
    const auto workspace = device_->allocate(std::max<std::size_t>(args.workspace_bytes, 1));
    args.workspace = workspace->data();
    kernels_->attention(*plan, args, device_->stream());
    for (std::int64_t row = 0; row < pass.n_rows(); ++row) {
      expect_row(out, row, problem_.expected(pass.ids[row], with_itself));
    }
  }
  void expect_row(const Tensor& out, std::int64_t row, const std::vector<double>& expected) const {
    double difference = 0;
    double norm = 0;
    for (std::size_t i = 0; i < expected.size(); ++i) {
      const double d = out.at(row * shape_.row_elements() + static_cast<std::int64_t>(i)) - expected[i];
      difference += d * d;
      norm += expected[i] * expected[i];
    }
    const double bar = shape_.dtype == DType::f32 ? 1e-5 : shape_.dtype == DType::bf16 ? 1e-2 : 1e-3;
    EXPECT_LT(std::sqrt(difference / norm), bar) << "row " << row;
  }

  Problem& problem_;
  Shape shape_;
  BatchLayout layout_;
  Tensor k_, v_;  // (n_kv_heads, cache_tokens, head_dim)
  bool share_ = false;
  std::unique_ptr<Device> device_ = make_device({});
  std::unique_ptr<Kernels> kernels_ = make_cpu_kernels(2);
};

class ModeAttention : public ::testing::TestWithParam<DType> {};

TEST_P(ModeAttention, IsThatOfEachPath) {
  std::mt19937_64 random(test_seed());
  for (const std::int64_t head_dim : {64, 80, 128}) {
    for (std::int64_t group = 1; group <= 8; ++group) {
      const std::uint64_t seed = random();
      const Shape shape{1 + static_cast<std::int64_t>(seed % 2), group, head_dim, GetParam()};
      Problem problem(shape, seed);
      problem.grow(1 + static_cast<int>(group % 4),
                   group % 3 == 0 ? 1 : 2 + static_cast<std::int64_t>(seed % 6));
      problem.fill();
      for (const Mode mode : {Mode::hydragen, Mode::noshared, Mode::paged, Mode::automatic}) {
        SCOPED_TRACE(testing::Message() << to_string(mode) << ", seed " << seed << ", " << shape.n_kv_heads
                                        << " x " << group << " heads of " << head_dim);
        ModeRun(problem, mode).check();
        if (HasFailure()) return;
      }
    }
  }
}

// A segment is shared by auto where that moves fewer bytes: not for one sequence, and not where partial
// results weigh more than the tokens read again.
TEST_P(ModeAttention, AutoIsRightHoweverItChooses) {
  std::mt19937_64 random(test_seed() + 1);
  struct Case {
    std::int64_t sequences, length;
    bool shares;
  };
  for (const Case& c : {Case{12, 150, true}, Case{1, 150, false}, Case{12, 2, false}}) {
    Problem problem({2, 2, 64, GetParam()}, random());
    problem.add_node(-1, c.length);
    for (std::int64_t i = 0; i < c.sequences; ++i)
      problem.add_sequence(0, static_cast<std::int64_t>(random() % 4));
    problem.fill();
    SCOPED_TRACE(testing::Message() << c.sequences << " sequences below " << c.length << " tokens");
    ModeRun automatic(problem, Mode::automatic);
    EXPECT_EQ(automatic.shares(), c.shares);
    automatic.check();
  }
}

// What is in memory, and what decode reads: the tree once and segments of it, or a copy of the path for each
// sequence and no segments.
TEST(ModeLayout, IsThatOfTheMode) {
  std::mt19937_64 random(test_seed() + 2);
  Problem problem({1, 1, 8, DType::f32}, random());
  problem.grow(3, 5);
  problem.fill();
  const Batch& batch = problem.batch();
  std::int64_t tree = 0;
  for (const TreeNode& node : batch.nodes) tree += static_cast<std::int64_t>(node.tokens.size());
  std::int64_t own = 0;
  std::int64_t paths = 0;
  for (const Sequence& s : batch.sequences) {
    own += static_cast<std::int64_t>(s.prompt.size()) + batch.new_tokens;
    for (int node = s.node; node >= 0; node = batch.nodes[node].parent) {
      paths += static_cast<std::int64_t>(batch.nodes[node].tokens.size());
    }
  }
  for (const Mode mode : {Mode::hydragen, Mode::paged, Mode::automatic, Mode::noshared}) {
    const ModeRun run(problem, mode);
    const bool copies = mode == Mode::noshared;
    EXPECT_EQ(run.layout().cache_tokens, tree + own + (copies ? paths : 0)) << to_string(mode);
    EXPECT_EQ(run.layout().copies.empty(), !copies) << to_string(mode);
    EXPECT_EQ(run.layout().decode.n_segments() == 0, copies) << to_string(mode);
  }
  EXPECT_TRUE(ModeRun(problem, Mode::hydragen).shares());
  EXPECT_FALSE(ModeRun(problem, Mode::paged).shares());
}

INSTANTIATE_TEST_SUITE_P(, ModeAttention, ::testing::ValuesIn(every_dtype),
                         [](const auto& instance) { return std::string(name_of(instance.param)); });

}  // namespace
