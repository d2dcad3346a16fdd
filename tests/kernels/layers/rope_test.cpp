#include <numeric>
#include <vector>

#include "kernels/tensor.hpp"

namespace hydrajob::test {
namespace {

class RopeTest : public KernelTest {};

TEST_F(RopeTest, ReferenceRotatesPairsHalfAHeadApart) {
  // One query and one KV head of dim 4; position 1 turns pair 0 by 90 degrees and pair 1 by 180.
  const std::vector<float> qkv{1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12};
  const std::vector<float> cosine{1, 1, 0, -1}, sine{0, 0, 1, 0};
  const std::vector<std::int32_t> positions{1};
  const std::vector<std::int64_t> slots{2};
  std::vector<float> q(4), k(12, 0), v(12, 0);
  reference_->rope_and_cache(qkv.data(), positions.data(), slots.data(), cosine.data(), sine.data(), q.data(),
                             {k.data(), v.data(), 12, 4}, 1, 1, 1, 4, DType::f32, stream_);
  EXPECT_EQ(q, (std::vector<float>{-3, -2, 1, -4}));
  EXPECT_EQ(k, (std::vector<float>{0, 0, 0, 0, 0, 0, 0, 0, -7, -6, 5, -8}));
  EXPECT_EQ(v, (std::vector<float>{0, 0, 0, 0, 0, 0, 0, 0, 9, 10, 11, 12}));
}

struct Shape {
  std::int64_t rows, n_heads, n_kv_heads, head_dim;
};

struct Case {
  Shape shape;
  DType dtype;
  bool with_cache;
};

class RopeCase {
 public:
  RopeCase(const Case& c, std::mt19937_64& random)
      : case_(c),
        qkv_(Tensor::random(c.shape.rows * (c.shape.n_heads + 2 * c.shape.n_kv_heads) * c.shape.head_dim,
                            c.dtype, random)),
        angle_(Tensor::random(2 * n_positions * c.shape.head_dim / 2, DType::f32, random)),
        positions_(static_cast<std::size_t>(c.shape.rows)),
        slots_(static_cast<std::size_t>(2 * c.shape.rows)) {
    for (auto& p : positions_) p = std::uniform_int_distribution<std::int32_t>(0, n_positions - 1)(random);
    std::iota(slots_.begin(), slots_.end(), 0);  // more slots than rows: some stay untouched
    std::shuffle(slots_.begin(), slots_.end(), random);
    slots_.resize(positions_.size());
    if (slots_.size() > 2) slots_[1] = -1;
  }

  struct Result {
    Tensor q, k, v;
    bool operator==(const Result&) const = default;
  };
  // Heads lie apart by one token more than the cache has, tokens by three elements more than a head.
  Result run(Kernels& kernels, Stream& stream) {
    const Shape& s = case_.shape;
    const std::int64_t token_stride = s.head_dim + 3, head_stride = (2 * s.rows + 1) * token_stride;
    Result r{Tensor(s.rows * s.n_heads * s.head_dim, case_.dtype),
             Tensor(s.n_kv_heads * head_stride, case_.dtype),
             Tensor(s.n_kv_heads * head_stride, case_.dtype)};
    const KvView view{case_.with_cache ? r.k.data() : nullptr, case_.with_cache ? r.v.data() : nullptr,
                      head_stride, token_stride};
    kernels.rope_and_cache(qkv_.data(), positions_.data(), slots_.data(), angle_.floats(),
                           angle_.floats() + n_positions * s.head_dim / 2, r.q.data(), view, s.rows,
                           s.n_heads, s.n_kv_heads, s.head_dim, case_.dtype, stream);
    return r;
  }

 private:
  static constexpr std::int64_t n_positions = 19;
  Case case_;
  Tensor qkv_, angle_;
  std::vector<std::int32_t> positions_;
  std::vector<std::int64_t> slots_;
};

TEST_F(RopeTest, MatchesReference) {
  for (const Shape& shape : {Shape{1, 1, 1, 2}, Shape{5, 4, 2, 64}, Shape{7, 8, 1, 80}, Shape{3, 3, 3, 50}}) {
    for (const DType dtype : every_dtype) {
      for (const bool with_cache : {true, false}) {
        RopeCase c({shape, dtype, with_cache}, random_);
        const auto actual = c.run(*tested_, stream_), expected = c.run(*reference_, stream_);
        const std::string what = "head_dim " + std::to_string(shape.head_dim);
        expect_near(actual.q, expected.q, 1e-6, what + " q");
        expect_near(actual.k, expected.k, 1e-6, what + " k");
        EXPECT_EQ(actual.v, expected.v) << what;
        if (with_cache) continue;
        EXPECT_EQ(actual.k, Tensor(actual.k.size(), dtype)) << what << ": written without a cache";
      }
    }
  }
}

}  // namespace
}  // namespace hydrajob::test
